// says: write: this is no std::string_view and no std::string
#include "bine/net/tcp.h"

struct Text {};
void f(bine::Transport& transport) { transport.write(Text()); }
