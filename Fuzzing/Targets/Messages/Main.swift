import Fuzzing

@_cdecl("LLVMFuzzerInitialize")
public func initialize(_ count: UnsafeMutablePointer<CInt>?, _ arguments: UnsafeMutableRawPointer?) -> CInt {
  choose(among: [
    TriggerRequestTarget.self, TriggerMessageTarget.self, MIFRequestTarget.self, MIFMessageTarget.self,
    InformationTarget.self,
  ])
  return 0
}
