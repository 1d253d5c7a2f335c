import Messages
import Platform
import Provisioning
import Wire

#if Pcap
  extension Announcement {
    /// The announcement as a line for people, without its end.
    func describe(to text: inout [UInt8], _ state: borrowing NetworkState) {
      switch self {
      case .interface(let link):
        append("INTERFACE ", to: &text)
        text += link.name.bytes
        append(link.isUp ? link.hasCarrier ? " up" : " up, no carrier" : " down", to: &text)
      case .interfaceGoingUp(let link):
        append("INTERFACE_GOING_UP ", to: &text)
        text += link.name.bytes
      case .interfaceGone(let link):
        append("NO_INTERFACE ", to: &text)
        text += link.name.bytes
      case .pvd(let domain):
        append("PVD ", to: &text)
        domain.describe(to: &text)
      case .pvdGone(let domain):
        append("NO_PVD ", to: &text)
        domain.describe(to: &text)
      case .element(let pvd, let type):
        append("CONFIG_ELEMENT pvd ", to: &text)
        append(decimal: pvd, to: &text)
        append(" ", to: &text)
        append(type.name, to: &text)
      case .elementGone(let pvd, let type):
        append("NO_CONFIG_ELEMENT pvd ", to: &text)
        append(decimal: pvd, to: &text)
        append(" ", to: &text)
        append(type.name, to: &text)
      case .address(let pvd, let address):
        append("ADDRESS pvd ", to: &text)
        append(decimal: pvd, to: &text)
        append(" ", to: &text)
        address.prefix.append(to: &text)
      case .addressGone(let pvd, let prefix):
        append("NO_ADDRESS pvd ", to: &text)
        append(decimal: pvd, to: &text)
        append(" ", to: &text)
        prefix.append(to: &text)
      case .trigger(let place):
        switch state.triggerNews[place].change {
        case .added: append("NOTIFY add ", to: &text)
        case .modified, .turned: append("NOTIFY modify ", to: &text)
        case .removed: append("NOTIFY delete ", to: &text)
        }
        state.triggerNews[place].trigger.describe(to: &text)
      }
    }
  }

  extension ProvisioningDomain {
    fileprivate func describe(to text: inout [UInt8]) {
      append(decimal: id, to: &text)
      append(" ", to: &text)
      text += name
      append(isExplicit ? " (explicit)" : "", to: &text)
    }
  }

  extension Trigger {
    fileprivate func describe(to text: inout [UInt8]) {
      append(decimal: id, to: &text)
      append(" ", to: &text)
      append(type.name, to: &text)
      append(" ", to: &text)
      text += origin.interfaceName.bytes
      for address in addresses {
        append(" ", to: &text)
        address.address.append(to: &text)
      }
      if origin.source == .icmp {
        append(" icmp type ", to: &text)
        append(decimal: origin.icmpType, to: &text)
        append(" code ", to: &text)
        append(decimal: origin.icmpCode, to: &text)
        append(" count ", to: &text)
        append(decimal: origin.count, to: &text)
      }
    }
  }

  extension TriggerType {
    fileprivate var name: StaticString {
      switch self {
      case .interfaceAdded: "IF_ADDED"
      case .interfaceRemoved: "IF_REMOVED"
      case .addressChanged: "IF_ADDRCHANGED"
      case .connectionEstablished: "CONN_ESTABLISHED"
      case .connectionLost: "CONN_LOST"
      case .destinationUnreachable: "DEST_UNREACHABLE"
      default: "OTHER"
      }
    }
  }

  extension ElementType {
    fileprivate var name: StaticString {
      switch self {
      case .routerAdvertisement: "RA"
      case .dhcpv6: "DHCPv6"
      case .dhcpv4: "DHCPv4"
      case .kernel: "KERNEL"
      }
    }
  }
#endif
