// Descriptors of the user's own, where one reactor is enough: what an IoResult is made of, and what the kernel refuses. The rules of 2.D, on all reactors, are in
// tests/conformance/descriptors.cpp.

#include <QtTest/QtTest>

#include <sys/eventfd.h>
#include <unistd.h>

#include <stdexcept>

#include "bine/reactors/descriptor.h"
#include "bine/reactors/errors.h"
#include "bine/reactors/native_reactors.h"

using namespace std::chrono_literals;
using bine::Failure;
using bine::IoResult;

namespace {

/// An eventfd, which can be read from the start, or a descriptor of somebody else's.
class Event : public bine::ReadDescriptor {
public:
    Event() : fd_(::eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK)), own_(true) {}
    explicit Event(int fd) : fd_(fd) {}
    ~Event() override {
        if (!own_) return;
        remove();
        ::close(fd_);
    }
    void addTo(bine::Reactor& reactor) {
        reactor_ = &reactor;
        reactor.addReader(*this);
    }
    void remove() {
        if (reactor_) reactor_->removeReader(*this);
    }

    int fileno() const override { return fd_; }
    IoResult doRead() override {
        ++reads;
        return {};
    }
    void connectionLost(const Failure&) override { ++losses; }

    int reads = 0;
    int losses = 0;

private:
    int fd_;
    bool own_ = false;
    bine::Reactor* reactor_ = nullptr;
};

}  // namespace

class DescriptorTest : public QObject {
    Q_OBJECT

private slots:
    void r061_whatAnIoResultIsMadeOf() {
        QVERIFY(!IoResult().isFailure());
        QVERIFY(!IoResult(Failure()).isFailure());
        const Failure failure(std::runtime_error("no luck"));
        QVERIFY(IoResult(failure).failure() == failure);
        QVERIFY(IoResult(bine::ConnectionDone()).failure().check<bine::ConnectionDone>());
        QVERIFY(IoResult(std::make_exception_ptr(42)).failure().check<int>());
        const IoResult copy = IoResult(failure);
        QVERIFY(IoResult(copy).failure() == failure);
        static_assert(!std::is_convertible_v<const char*, IoResult>);
        static_assert(!std::is_convertible_v<bool, IoResult>);
    }

    void r056_theReasonIsALoss() {
        const bine::ConnectionFdescWentAway reason;
        const bine::ConnectionLost* const loss = &reason;
        QVERIFY(!loss->isTransient());
        QVERIFY(std::string(reason.what()).find("went away") != std::string::npos);
    }

    void r051_whatTheKernelRefusesIsNotAdded() {
        bine::EpollReactor reactor;
        Event itself(reactor.fileno());  // a set cannot watch itself
        QVERIFY_THROWS_EXCEPTION(std::system_error, reactor.addReader(itself));
        QVERIFY(reactor.getReaders().empty());
        QCOMPARE(reactor.stats().descriptors, std::size_t(0));
        reactor.removeReader(itself);
        QVERIFY(reactor.removeAll().empty());
    }

    void r005_aCrashLeavesThemWhereTheyAre() {
        bine::EpollReactor reactor;
        Event event;
        event.addTo(reactor);
        reactor.callLater(0s, [&] { reactor.crash(); });
        reactor.run();
        QCOMPARE(event.losses, 0);
        const int reads = event.reads;
        reactor.callLater(5ms, [&] { reactor.stop(); });
        reactor.run();
        QVERIFY(event.reads > reads);
        QCOMPARE(event.losses, 1);
    }

    void r268_twoOwners() {
        bine::EpollReactor reactor;
        Event event;
        bine::Scope longer;
        event.ownedBy(longer);
        {
            bine::Scope shorter;
            event.ownedBy(shorter);
            event.addTo(reactor);
        }
        QVERIFY(reactor.getReaders().empty());
        longer.cancel();
        reactor.addReader(event);
        QVERIFY(reactor.getReaders().empty());
        QCOMPARE(event.losses, 0);
    }

    void r268_itMayDieBeforeItsOwner() {
        bine::EpollReactor reactor;
        bine::Scope owner;
        {
            Event event;
            event.ownedBy(owner);
            event.addTo(reactor);
        }
        QVERIFY(owner.empty());
        QVERIFY_THROWS_EXCEPTION(std::invalid_argument, Event().ownedBy(static_cast<bine::Scope*>(nullptr)));
    }
};

QTEST_GUILESS_MAIN(DescriptorTest)
#include "descriptor_test.moc"
