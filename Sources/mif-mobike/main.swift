import MobikeHelper
import Platform

func run() {
  let arguments = ProgramStart.arguments(of: "mif-mobike") { words throws(Arguments.Mistake) in try Arguments(words) }
  if arguments.wantsHelp { return Output.write(Arguments.usage) }
  if arguments.wantsVersion { return Output.write(Arguments.version) }
  var configuration = Configuration()
  if let file = arguments.configuration {
    configuration = ProgramStart.configuration(file, limit: Configuration.sizeLimit) {
      text throws(Configuration.Mistake) in try Configuration(parsing: text)
    }
  }
  do throws(SystemFailure) {
    try Helper(configuration, directory: arguments.directory, vici: arguments.vici).run()
  } catch {
    ProgramStart.fail("\(error)")
  }
}

run()
