/// Why there is no object.
enum FetchFailure: Error, Equatable {
  /// There was no server to talk to, or it fell silent.
  case notReached(String)
  /// An error of TLS or HTTP, or no such object.
  case refused(String)
}
