import CCurl

/// Where an object is said to be: an `https` URL, read by libcurl as libcurl will read it again.
struct Location {
  let url: String
  let host: String
  let port: UInt16

  /// RFC 8801 section 4.1: `https://<PvD-ID>/.well-known/pvd`. nil for a name that no host has: strangers choose it.
  init?(ofDomain name: String) {
    let labels = name.split(separator: ".", omittingEmptySubsequences: false)
    let isHostName = labels.allSatisfy { label in
      !label.isEmpty && label.utf8.count <= 63
        && label.utf8.allSatisfy { byte in
          switch byte {
          case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"): true
          default: false
          }
        }
    }
    // A last label of digits would make it an address.
    guard isHostName, labels.count > 1, labels.last?.utf8.contains(where: { $0 > UInt8(ascii: "9") }) == true else {
      return nil
    }
    self.init("https://\(name)/.well-known/pvd")
  }

  /// nil for another scheme, and where a user is named.
  init?(_ url: String) {
    guard let parser = unsafe curl_url() else { return nil }
    defer { unsafe curl_url_cleanup(parser) }
    guard unsafe curl_url_set(parser, CURLUPART_URL, url, 0) == CURLUE_OK else { return nil }
    func part(_ part: CURLUPart, _ flags: Int32 = 0) -> String? {
      var text: UnsafeMutablePointer<CChar>?
      guard unsafe curl_url_get(parser, part, &text, UInt32(flags)) == CURLUE_OK, let text = unsafe text else {
        return nil
      }
      defer { unsafe curl_free(text) }
      return unsafe String(cString: text)
    }
    guard part(CURLUPART_SCHEME) == "https", part(CURLUPART_USER) == nil, let host = part(CURLUPART_HOST),
      let port = part(CURLUPART_PORT, CURLU_DEFAULT_PORT).flatMap({ UInt16($0) })
    else { return nil }
    self.url = url
    self.host = host
    self.port = port
  }
}
