// says: forProtocol<P>(args...): P has no public constructor
#include "bine/net/tcp.h"

class Counter : public bine::Protocol {
public:
    explicit Counter(int& count) : count_(count) {}

private:
    int& count_;
};
void f(int& count) {
    bine::ClientFactory::forProtocol<Counter>(count);
}
