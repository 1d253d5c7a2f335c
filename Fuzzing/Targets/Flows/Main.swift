import Fuzzing

@_cdecl("LLVMFuzzerInitialize")
public func initialize(_ count: UnsafeMutablePointer<CInt>?, _ arguments: UnsafeMutableRawPointer?) -> CInt {
  choose(among: [SocketListingTarget.self, SocketDiagnosisTarget.self, SecurityAssociationsTarget.self])
  return 0
}
