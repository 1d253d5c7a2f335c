package import Text

/// How a program of ours begins and ends.
package enum ProgramStart {
  // Named here because the compiler does not see an import used in what is thrown.
  package typealias WordMistake = Options.Mistake
  package typealias SettingMistake = SettingLines.Mistake

  /// Ends with one line that says what is wrong: 2 for a wrong command line, 1 for everything else.
  package static func fail(_ line: LogLine, status: Int32 = 1) -> Never {
    Log.error(line)
    Process.exit(status)
  }

  /// What `parse` makes of the words of the command line.
  /// - Parameter name: the program's, for whom it can't be understood.
  package static func arguments<Parsed>(
    of name: StaticString, _ parse: ([[UInt8]]) throws(WordMistake) -> Parsed
  ) -> Parsed {
    do throws(SystemFailure) {
      let words = try Process.arguments()
      do throws(WordMistake) {
        return try parse(words)
      } catch {
        fail("\(error.message) (\(name) --help shows the options)", status: 2)
      }
    } catch {
      fail("\(error)")
    }
  }

  /// What `parse` makes of a configuration file.
  /// - Parameter limit: bytes.
  package static func configuration<Parsed>(
    _ path: [UInt8], limit: Int, _ parse: ([UInt8]) throws(SettingMistake) -> Parsed
  ) -> Parsed {
    do throws(SystemFailure) {
      let text = try File.read(path, limit: limit)
      do throws(SettingMistake) {
        return try parse(text)
      } catch {
        fail("\(path):\(error.line): \(error.message)")
      }
    } catch {
      fail("\(error)")
    }
  }
}
