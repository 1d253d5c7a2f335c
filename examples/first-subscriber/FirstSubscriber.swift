// Your first subscriber: which networks this host has, as draft-ietf-mif-api-extension-05 tells it, top down: the
// interfaces, the provisioning domains of each, the addresses of each domain. Says what exists and ends; with -f it goes
// on with the news.
//
//   swift run first-subscriber [-f]

import Foundation
import MIF

@main
struct FirstSubscriber {
  static func main() async {
    do {
      try await tell(follows: CommandLine.arguments.contains("-f"))
    } catch {
      FileHandle.standardError.write(Data("first-subscriber: \(error)\n".utf8))
      exit(1)
    }
  }

  static func tell(follows: Bool) async throws {
    for try await event in NetworkEvents() {
      switch event {
      case .interface(.gone, let interface): print("no interface \(interface.index)")
      case .interface(_, let interface):
        print("interface \(interface.index) \(interface.name)\(interface.hasCarrier ? "" : ", no carrier")")
      case .domain(.gone, let domain, _): print("no domain \(domain.identifier)")
      case .domain(_, let domain, let interface):
        print("domain \(domain.identifier) \(domain.name) on \(interface.name)")
      case .address(.gone, let address, let domain, _):
        print("no address \(address.prefix.address) in domain \(domain.identifier)")
      case .address(_, let address, let domain, _): print("address \(address.prefix) in domain \(domain.identifier)")
      case .element: break
      case .complete:  // that is all that exists
        if !follows { return }
      case .lost: print("lost")  // news: everything is told anew
      }
      fflush(nil)
    }
  }
}
