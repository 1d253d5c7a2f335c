#pragma once

/// How often this process has asked for memory since it began.
unsigned long allocations_count(void);
