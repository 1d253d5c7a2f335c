import Messages

extension [UInt8] {
  /// Reads the bytes as a message.
  func read<Message>(_ reader: (RawSpan) throws(MessageRefusal) -> Message) -> Message? {
    do throws(MessageRefusal) {
      return try reader(unsafe span.bytes)
    } catch {
      return nil
    }
  }
}
