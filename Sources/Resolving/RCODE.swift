import CLinux

/// DNS response codes (RFC 6895, 2.3) that are told apart here.
enum RCODE {
  static let noError: UInt8 = 0
  static let formatError: UInt8 = 1
  static let serverFailure: UInt8 = 2
  static let nameError: UInt8 = 3
  static let notImplemented: UInt8 = 4
  static let refused: UInt8 = 5
}

/// A response code in the words of `<errno.h>`.
func errno(ofRCODE code: UInt8) -> Int32 {
  switch code {
  // The name is there and has no address.
  case RCODE.noError: ENODATA
  case RCODE.formatError: EBADMSG
  case RCODE.serverFailure: EREMOTEIO
  case RCODE.nameError: ENOENT
  case RCODE.notImplemented: EOPNOTSUPP
  case RCODE.refused: EACCES
  default: EPROTO
  }
}
