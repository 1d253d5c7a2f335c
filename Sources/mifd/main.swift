import Agent
import Platform

func run() {
  let arguments = ProgramStart.arguments(of: "mifd") { words throws(Arguments.Mistake) in try Arguments(words) }
  if arguments.wantsHelp { return Output.write(Arguments.usage) }
  if arguments.wantsVersion { return Output.write(Arguments.version) }
  if arguments.wantsSelfTest {
    let test = SelfTest()
    Output.write(test.report)
    Process.exit(test.hasPassed ? 0 : 1)
  }
  var configuration = Configuration()
  if let file = arguments.configuration {
    configuration = ProgramStart.configuration(file, limit: Configuration.sizeLimit) {
      text throws(Configuration.Mistake) in try Configuration(parsing: text)
    }
  }
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
