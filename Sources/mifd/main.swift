import Agent
import Platform

/// Ends with one line that says what is wrong: 2 for a wrong command line, 1 for everything else.
func fail(_ line: LogLine, status: Int32 = 1) -> Never {
  Log.error(line)
  Process.exit(status)
}

func arguments() -> Arguments {
  let words: [[UInt8]]
  do throws(SystemFailure) {
    words = try Process.arguments()
  } catch {
    fail("\(error)")
  }
  do throws(Arguments.Mistake) {
    return try Arguments(words)
  } catch {
    fail("\(error.message) (mifd --help shows the options)", status: 2)
  }
}

func configuration(_ path: [UInt8]?) -> Configuration {
  guard let path else { return Configuration() }
  do throws(SystemFailure) {
    let text = try File.read(path, limit: Configuration.sizeLimit)
    do throws(Configuration.Mistake) {
      return try Configuration(parsing: text)
    } catch {
      fail("\(path):\(error.line): \(error.message)")
    }
  } catch {
    fail("\(error)")
  }
}

func run() {
  let arguments = arguments()
  if arguments.wantsHelp { return Output.write(Arguments.usage) }
  if arguments.wantsVersion { return Output.write(Arguments.version) }
  if arguments.wantsSelfTest {
    let test = SelfTest()
    Output.write(test.report)
    Process.exit(test.hasPassed ? 0 : 1)
  }
  let configuration = configuration(arguments.configuration)
  do throws(StartFailure) {
    if let file = arguments.replay {
      try replay(file, configuration)
    } else {
      try Agent(configuration, directory: arguments.directory).run()
    }
  } catch {
    switch error {
    case .system(let failure): fail("\(failure)")
    case .alreadyRunning(let directory, let pid?):
      fail("another mifd (pid \(pid)) runs on \(directory); --runtime-dir names another directory")
    case .alreadyRunning(let directory, nil):
      fail("another mifd runs on \(directory); --runtime-dir names another directory")
    case .kernelSilent: fail("the kernel did not tell within 10 seconds which links it has")
    case .replay(let reason): fail("\(reason)")
    }
  }
}

run()
