import CCurl
import CLinux
import MIF
import Messages
import Platform

/// Fetches PvD Additional Information (RFC 8801 section 4) for the agent, which starts it: `mif-pvdinfo RUNTIME-DIR
/// [ROOTS]`, with a socket as standard input, over which comes what to fetch and goes what was found.
@main
struct Main {
  static func main() {
    let words = CommandLine.arguments.dropFirst()
    guard let directory = words.first, words.count <= 2, let request = request() else {
      Log.error("mif-pvdinfo is started by mifd (pvd-info in its configuration)")
      exit(2)
    }
    let name = String(decoding: request.name, as: UTF8.self)
    let download = Download(
      through: request.pvd, runtimeDirectory: directory, roots: words.dropFirst().first)
    var report: InformationReport
    do throws(FetchFailure) {
      guard let location = Location(ofDomain: name) else { throw .refused("no name of a host") }
      let now = Int64(Clock.realTime() / 1_000_000_000)
      report = try InformationObject.report(try download.object(at: location), ofDomain: name, at: now)
    } catch {
      let reason: String
      switch error {
      case .notReached(let text): (report, reason) = (.notReached, text)
      case .refused(let text): (report, reason) = (.refused, text)
      }
      Log.notice("no PvD Additional Information of \(request.name): \(Array(reason.utf8))")
    }
    let bytes = report.bytes
    _ = unsafe bytes.withUnsafeBytes { unsafe send(STDIN_FILENO, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
  }

  /// The engine's word, which is there before this process is.
  private static func request() -> InformationRequest? {
    var bytes = [UInt8](repeating: 0, count: InformationRequest.largest + 1)
    let count = unsafe bytes.withUnsafeMutableBytes {
      unsafe recv(STDIN_FILENO, $0.baseAddress, $0.count, Int32(MSG_DONTWAIT))
    }
    if count <= 0 { return nil }
    bytes.removeLast(bytes.count - count)
    return InformationRequest(unsafe bytes.span.bytes)
  }
}
