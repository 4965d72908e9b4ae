// A chat server: each line goes to everyone.
#include <functional>
#include <set>

#include "bine/net/tcp.h"
#include "bine/protocols/line_receiver.h"
#include "bine/reactors/native_reactors.h"

class User : public bine::LineReceiver {
public:
    explicit User(std::set<User*>& room) : room_(room) {}
    void connectionMade() override { room_.insert(this); }
    void lineReceived(std::string_view line) override {
        for (User* user : room_) user->sendLine(line);
    }
    void connectionLost(const bine::Failure&) override { room_.erase(this); }

private:
    std::set<User*>& room_;
};

int main() {
    bine::EpollReactor reactor;
    std::set<User*> room;
    bine::listenTCP(reactor, 7000, bine::Factory::forProtocol<User>(std::ref(room)));
    reactor.run();
}
