import Fuzzing

@_cdecl("LLVMFuzzerInitialize")
public func initialize(_ count: UnsafeMutablePointer<CInt>?, _ arguments: UnsafeMutableRawPointer?) -> CInt {
  choose(among: [HostNameTarget.self, HostsTarget.self, AnswerTarget.self])
  return 0
}
