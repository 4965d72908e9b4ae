// Lookups of names that hang in the C library block no others. On every reactor; the program starts itself again with a
// getaddrinfo() of the test's in front.
#include <QtTest>

#include <dlfcn.h>
#include <unistd.h>

#include <cstdlib>

#include "bine/net/errors.h"
#include "bine/net/network.h"
#include "kit/reactor_test.h"

using namespace bine;
using namespace std::chrono_literals;

namespace {

template <class F>
F* shim(const char* name) {
    return reinterpret_cast<F*>(dlsym(RTLD_DEFAULT, name));
}

int hanging() { return shim<int()>("hangingLookups")(); }
void release() { shim<void()>("releaseHangingLookups")(); }

/// Lets go of all that hangs, so that the threads end before they are counted.
struct ReleaseAtTheEnd {
    ~ReleaseAtTheEnd() { release(); }
};

} // namespace

class HangingLookupTest : public kit::ReactorTest {
    Q_OBJECT

    struct Lookup {
        std::string name;
        DeferredRef ref;
        std::optional<Failure> failure;
        bool found = false;
        bool ended() const { return found || failure; }
    };
    std::vector<std::unique_ptr<Lookup>> lookups_;
    std::function<bool()> done_;

    Lookup& lookUp(const std::string& name) {
        Lookup& lookup = *lookups_.emplace_back(std::make_unique<Lookup>());
        auto asked = networkOf(reactor())->resolve(lookup.name = name);
        lookup.ref = asked.ref();
        std::move(asked).addCallbacks([&lookup](const std::vector<Address>& found) { lookup.found = !found.empty(); },
                                      [&lookup](const Failure& failure) { lookup.failure = failure; });
        return lookup;
    }
    void lookUp(int count, const char* name) {
        for (int i = 0; i < count; ++i)
            lookUp(name + std::to_string(i));
    }
    /// Runs until `done`.
    void runUntil(std::function<void()> begin, std::function<bool()> done) {
        done_ = std::move(done);
        reactor().callWhenRunning(begin);
        reactor().callWhenRunning([this] { look(); });
        run();
    }
    void look() {
        if (done_())
            reactor().stop();
        else
            reactor().callLater(2ms, [this] { look(); });
    }
    std::size_t failed(std::size_t from = 0) const {
        std::size_t count = 0;
        for (std::size_t i = from; i < lookups_.size(); ++i)
            count += lookups_[i]->failure.has_value();
        return count;
    }

private slots:
    void r105_namesThatHangBlockNoOthers() {
        const ReleaseAtTheEnd guard;
        lookups_.clear();
        Lookup* localhost = nullptr;
        runUntil(
            [&] {
                lookUp(9, "hang");
                localhost = &lookUp("localhost");
            },
            [&] { return localhost->ended(); });
        QVERIFY(localhost->found);
        QCOMPARE(hanging(), 9);
        QCOMPARE(failed(), std::size_t{0});
    }
    void r105_aCancelledLookupLeavesItsPlaceToAnother() {
        const ReleaseAtTheEnd guard;
        lookups_.clear();
        Lookup* localhost = nullptr;
        runUntil(
            [&] {
                lookUp(8, "hang");
                for (auto& each : lookups_)
                    each->ref.cancel();
                localhost = &lookUp("localhost");
            },
            [&] { return localhost->ended(); });
        QVERIFY(localhost->found);
        for (int i = 0; i < 8; ++i)
            QVERIFY(lookups_[static_cast<std::size_t>(i)]->failure->check<CancelledError>());
    }
    void r105_moreThanSixtyFourFailAtOnceUntilOneComesBack() {
        const ReleaseAtTheEnd guard;
        lookups_.clear();
        Lookup* refused = nullptr;
        Lookup* again = nullptr;
        runUntil([&] { lookUp(70, "hang"); }, // six are too many, and are told so after a while
                 [&] {
                     if (failed() < 6)
                         return false;
                     if (!refused)
                         refused = &lookUp("localhost");
                     if (!refused->ended())
                         return false;
                     if (!again) {
                         if (hanging() == 64)
                             release();
                         if (failed() < 71)
                             return false;
                         again = &lookUp("localhost");
                     }
                     return again->ended();
                 });
        QVERIFY(again && again->found);
        const auto* error = refused->failure->check<DNSLookupError>();
        QVERIFY(error && error->isTransient());
        QVERIFY2(QString(error->what()).contains("all 64 threads for lookups wait"), error->what());
        const auto logged = loggedErrors();
        QCOMPARE(logged.size(), std::size_t{1});
        QVERIFY2(logged[0].starts_with("Lookups of names fail: all 64 threads"), logged[0].c_str());
    }
};

int main(int argc, char** argv) {
    if (!shim<int()>("hangingLookups")) {
        ::setenv("LD_PRELOAD", BINE_HANGING_LOOKUP, 1);
        ::execv("/proc/self/exe", argv);
        return 1;
    }
    ::unsetenv("LD_PRELOAD");
    return bine::kit::runTests<HangingLookupTest>(argc, argv);
}
#include "hanging_lookup_test.moc"
