// says: forProtocol<P>: P is abstract
#include "bine/net/tcp.h"
#include "bine/protocols/line_receiver.h"

class Echo : public bine::LineReceiver {
    virtual void lineReceived(const std::string& line) { sendLine(line); }
};
void f() {
    bine::Factory::forProtocol<Echo>();
}
