/* Sizes that <mif.h> promises to keep while the library is libmif.so.0 (of 64-bit machines). */
#include <mif.h>

#define SIZE(type, bytes) typedef char sizeof_##type[sizeof(struct type) == (bytes) ? 1 : -1]

SIZE(trigger_address, 136);
SIZE(trigger_record, 2232);
SIZE(trigger_filter, 264);
SIZE(trigger_message, 2248);
SIZE(trigger_builder, 64);
SIZE(trigger_iterator, 40);
SIZE(trigger_options, 24);
SIZE(trigger_event, 24);
SIZE(mif_interface, 24);
SIZE(mif_pvd, 264);
SIZE(mif_address, 144);
SIZE(mif_failure, 12);
SIZE(mif_item, 304);
SIZE(mif_counter, 16);
SIZE(mif_options, 24);
SIZE(mif_request, 296);
SIZE(mif_connect_options, 40);
SIZE(mif_route, 400);
SIZE(mif_attempt, 416);

typedef char longest[TRIGGER_MESSAGE_SIZE == 16 + 16 + TDB_ADDRESSES_MAX * 40 + 48 ? 1 : -1];
