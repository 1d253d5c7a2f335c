import CCurl
import CLinux
import MIF
import Platform

/// HTTP over TLS through one provisioning domain: its DNS servers, its interface, its addresses. The agent connects and
/// passes the socket; libcurl, which opens none itself, does TLS and HTTP on it.
struct Download {
  /// Bytes of an object.
  static let sizeLimit = 65_536
  static let redirectionLimit = 5
  /// For everything, nanoseconds.
  static let timeLimit: UInt64 = 30_000_000_000

  let domain: UInt32
  let runtimeDirectory: String
  /// A file of certificates that are trusted, PEM; nil for the system's.
  let roots: String?
  private let deadline = Clock.bootTime() + Download.timeLimit

  init(through domain: UInt32, runtimeDirectory: String, roots: String?) {
    self.domain = domain
    self.runtimeDirectory = runtimeDirectory
    self.roots = roots
  }

  /// What is there, redirections followed: they must lead to `https` as well.
  func object(at location: Location) throws(FetchFailure) -> [UInt8] {
    var location = location
    for _ in 0...Download.redirectionLimit {
      switch try answer(at: location) {
      case .object(let bytes): return bytes
      case .redirection(let url):
        guard let next = Location(url) else { throw .refused("a redirection to something else than https") }
        location = next
      }
    }
    throw .refused("more than \(Download.redirectionLimit) redirections")
  }

  private enum Answer {
    case object([UInt8])
    case redirection(String)
  }

  private func answer(at location: Location) throws(FetchFailure) -> Answer {
    var socket = try connect(to: location)
    // libcurl has taken it if it is -1.
    defer { if socket >= 0 { closeDescriptor(socket) } }
    guard let handle = unsafe curl_easy_init() else { throw .notReached("no memory for libcurl") }
    defer { unsafe curl_easy_cleanup(handle) }
    // Of the address only the text counts: no socket is opened for it.
    let resolved = unsafe curl_slist_append(nil, "\(location.host):\(location.port):192.0.2.1")
    let headers = unsafe curl_slist_append(nil, "Accept: application/pvd+json")
    defer {
      unsafe curl_slist_free_all(resolved)
      unsafe curl_slist_free_all(headers)
    }
    let body = Body()
    let result = unsafe withUnsafeMutablePointer(to: &socket) { socket in
      var code = unsafe ccurl_set_string(handle, CURLOPT_URL, location.url)
      func set(_ next: @autoclosure () -> CURLcode) { if code == CURLE_OK { code = next() } }
      set(unsafe ccurl_set_list(handle, CURLOPT_RESOLVE, resolved))
      set(unsafe ccurl_set_list(handle, CURLOPT_HTTPHEADER, headers))
      set(unsafe ccurl_set_string(handle, CURLOPT_PROTOCOLS_STR, "https"))
      set(unsafe ccurl_set_string(handle, CURLOPT_PROXY, ""))
      set(unsafe ccurl_set_number(handle, CURLOPT_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2)))
      set(unsafe ccurl_set_number(handle, CURLOPT_SSL_VERIFYPEER, 1))
      set(unsafe ccurl_set_number(handle, CURLOPT_SSL_VERIFYHOST, 2))
      if let roots { set(unsafe ccurl_set_string(handle, CURLOPT_CAINFO, roots)) }
      set(unsafe ccurl_set_number(handle, CURLOPT_FOLLOWLOCATION, 0))
      set(unsafe ccurl_set_number(handle, CURLOPT_NOSIGNAL, 1))
      set(unsafe ccurl_set_number(handle, CURLOPT_TIMEOUT_MS, max(1, Int(timeLeft / 1_000_000))))
      set(unsafe ccurl_set_socket(handle, socket))
      set(
        unsafe ccurl_set_receiver(
          handle,
          { bytes, size, count, context in
            guard let bytes = unsafe bytes, let context = unsafe context else { return 0 }
            let body = unsafe Unmanaged<Body>.fromOpaque(context).takeUnretainedValue()
            return unsafe body.take(UnsafeRawBufferPointer(start: bytes, count: size * count)) ? size * count : 0
          }, Unmanaged.passUnretained(body).toOpaque()))
      set(unsafe curl_easy_perform(handle))
      return code
    }
    withExtendedLifetime(body) {}
    if body.isTooLong { throw .refused("more than \(Download.sizeLimit) bytes") }
    try check(result)
    return try unsafe answer(handle, body)
  }

  private func answer(_ handle: UnsafeMutableRawPointer, _ body: Body) throws(FetchFailure) -> Answer {
    var status = 0
    unsafe ccurl_status(handle, &status)
    switch status {
    case 200...299: return .object(body.bytes)
    case 300...399:
      var url: UnsafeMutablePointer<CChar>?
      unsafe ccurl_redirection(handle, &url)
      guard let url = unsafe url else { throw .refused("HTTP status \(status) without a location") }
      return .redirection(unsafe String(cString: url))
    default: throw .refused("HTTP status \(status)")
    }
  }

  private func check(_ code: CURLcode) throws(FetchFailure) {
    if code == CURLE_OK { return }
    let reason = unsafe String(cString: curl_easy_strerror(code))
    switch code {
    case CURLE_OPERATION_TIMEDOUT, CURLE_RECV_ERROR, CURLE_SEND_ERROR, CURLE_GOT_NOTHING, CURLE_OUT_OF_MEMORY:
      throw .notReached(reason)
    default: throw .refused(reason)
    }
  }

  private var timeLeft: UInt64 { deadline - min(deadline, Clock.bootTime()) }

  private func connect(to location: Location) throws(FetchFailure) -> Int32 {
    let options = ConnectOptions(domain: domain, timeout: .nanoseconds(timeLeft))
    do throws(ClientError) {
      let connector = try Connector(
        toHost: location.host, port: location.port, options: options, runtimeDirectory: runtimeDirectory)
      guard let connected = try connector.wait() else { throw ClientError.cancelled }
      return connected.takeDescriptor()
    } catch {
      throw .notReached("\(error)")
    }
  }
}

/// The answer's body as it comes.
private final class Body {
  var bytes: [UInt8] = []
  var isTooLong = false

  func take(_ part: UnsafeRawBufferPointer) -> Bool {
    if bytes.count + part.count > Download.sizeLimit {
      isTooLong = true
      return false
    }
    unsafe bytes.append(contentsOf: part)
    return true
  }
}
