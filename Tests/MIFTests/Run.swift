import CLinux
import Foundation

/// mifctl as a process.
final class Run {
  private let process = Process()
  private let output = Pipe()
  private let errors = Pipe()
  private let input = Pipe()
  private var unread: [UInt8] = []

  struct TookTooLong: Error {}

  init(_ arguments: [String], environment: [String: String]? = nil) throws {
    // The tests and mifctl are built into the same folder.
    process.executableURL = URL(filePath: CommandLine.arguments[0]).resolvingSymlinksInPath()
      .deletingLastPathComponent().appending(path: "mifctl")
    process.arguments = arguments
    if let environment { process.environment = environment }
    process.standardInput = input
    process.standardOutput = output
    process.standardError = errors
    try process.run()
    try output.fileHandleForWriting.close()
    try errors.fileHandleForWriting.close()
    try input.fileHandleForReading.close()
  }

  deinit { if process.isRunning { process.terminate() } }

  /// The next line, which comes within 10 s.
  func line() throws -> String {
    while true {
      if let end = unread.firstIndex(of: 0x0A) {
        let line = String(decoding: unread[..<end], as: UTF8.self)
        unread.removeFirst(end + 1)
        return line
      }
      var descriptor = pollfd(fd: output.fileHandleForReading.fileDescriptor, events: Int16(POLLIN), revents: 0)
      guard unsafe poll(&descriptor, 1, 10_000) > 0 else { throw TookTooLong() }
      let bytes = output.fileHandleForReading.availableData
      guard !bytes.isEmpty else { throw TookTooLong() }
      unread += bytes
    }
  }

  func write(_ text: String) throws { try input.fileHandleForWriting.write(contentsOf: Data(text.utf8)) }
  func closeInput() throws { try input.fileHandleForWriting.close() }

  func signal(_ number: Int32) { kill(process.processIdentifier, number) }
  func closeOutput() { try? output.fileHandleForReading.close() }

  func finished() throws -> (status: Int32, output: String, errors: String) {
    let rest = (try? output.fileHandleForReading.readToEnd()) ?? nil
    let complaints = (try? errors.fileHandleForReading.readToEnd()) ?? nil
    process.waitUntilExit()
    return (
      process.terminationReason == .exit ? process.terminationStatus : -1,
      String(decoding: unread + (rest ?? Data()), as: UTF8.self),
      String(decoding: complaints ?? Data(), as: UTF8.self)
    )
  }
}
