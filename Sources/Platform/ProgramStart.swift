/// How a program of ours begins and ends.
package enum ProgramStart {
  /// Ends with one line that says what is wrong: 2 for a wrong command line, 1 for everything else.
  package static func fail(_ line: LogLine, status: Int32 = 1) -> Never {
    Log.error(line)
    Process.exit(status)
  }

  /// The words of the command line; without them there is nothing to begin with.
  package static func arguments() -> [[UInt8]] {
    do throws(SystemFailure) {
      return try Process.arguments()
    } catch {
      fail("\(error)")
    }
  }

  /// A configuration file.
  /// - Parameter limit: bytes.
  package static func configuration(_ path: [UInt8], limit: Int) -> [UInt8] {
    do throws(SystemFailure) {
      return try File.read(path, limit: limit)
    } catch {
      fail("\(error)")
    }
  }
}
