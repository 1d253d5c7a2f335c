import CLinux
import Kernel
import Provisioning
import Wire
