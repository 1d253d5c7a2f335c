import Agent
import Platform
import Text

func arguments() -> Arguments {
  do throws(Arguments.Mistake) {
    return try Arguments(ProgramStart.arguments())
  } catch {
    ProgramStart.fail("\(error.message) (mifd --help shows the options)", status: 2)
  }
}

func configuration(_ path: [UInt8]?) -> Configuration {
  guard let path else { return Configuration() }
  do throws(Configuration.Mistake) {
    return try Configuration(parsing: ProgramStart.configuration(path, limit: Configuration.sizeLimit))
  } catch {
    ProgramStart.fail("\(path):\(error.line): \(error.message)")
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
    case .system(let failure): ProgramStart.fail("\(failure)")
    case .alreadyRunning(let directory, let pid?):
      ProgramStart.fail("another mifd (pid \(pid)) runs on \(directory); --runtime-dir names another directory")
    case .alreadyRunning(let directory, nil):
      ProgramStart.fail("another mifd runs on \(directory); --runtime-dir names another directory")
    case .kernelSilent: ProgramStart.fail("the kernel did not tell within 10 seconds which links it has")
    case .replay(let reason): ProgramStart.fail("\(reason)")
    }
  }
}

run()
