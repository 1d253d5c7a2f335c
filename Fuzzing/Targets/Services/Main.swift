import Fuzzing

@_cdecl("LLVMFuzzerInitialize")
public func initialize(_ count: UnsafeMutablePointer<CInt>?, _ arguments: UnsafeMutableRawPointer?) -> CInt {
  LoopbackNetwork.enter()
  choose(among: [
    ConfigurationTarget.self, HearingTarget.self, ResolverTarget.self, TriggerServiceTarget.self, MIFServiceTarget.self,
  ])
  return 0
}
