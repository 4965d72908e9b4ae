// says: write: this is no text and no bytes: for QString and QByteArray include
#include "bine/net/tcp.h"

struct Text {};
void f(bine::Transport& transport) { transport.write(Text()); }
