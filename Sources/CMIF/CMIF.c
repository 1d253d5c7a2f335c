// The functions are Swift's: target LibMIF.
#include "mif.h"
