@testable import Flows
