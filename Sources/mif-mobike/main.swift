import MobikeHelper
import Platform
import Text

func arguments() -> Arguments {
  do throws(Arguments.Mistake) {
    return try Arguments(ProgramStart.arguments())
  } catch {
    ProgramStart.fail("\(error.message) (mif-mobike --help shows the options)", status: 2)
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
  let configuration = configuration(arguments.configuration)
  do throws(SystemFailure) {
    try Helper(configuration, directory: arguments.directory, vici: arguments.vici).run()
  } catch {
    ProgramStart.fail("\(error)")
  }
}

run()
