// Random programs of owners, chains and coroutines that act on each other, also from inside callbacks, cancellers and frames.
// BINE_SEED=<seed> runs one of them alone.

#include "defer/defer_testing.h"  // before <random>: moc stumbles over the other order

#include <algorithm>
#include <random>

#include "bine/defer/owner.h"
#include "bine/defer/pool.h"

using bine::Deferred;
using bine::DeferredRef;
using bine::Failure;
using bine::LogRecorder;
using bine::Resolver;
using bine::Scope;

namespace {

#ifdef BINE_SANITIZED
constexpr int seeds = 100;
#else
constexpr int seeds = 200;
#endif
constexpr int stepsPerSeed = 1500;

struct Owner : Scope {
    ~Owner() { *dead = true; }
    /// What it owns now dies; the owner lives on, as another one.
    void endAll() {
        *std::exchange(dead, std::make_shared<bool>(false)) = true;
        cancel();
    }
    std::shared_ptr<bool> dead = std::make_shared<bool>(false);
};

/// What all captures and frames of a chain know: the owners it has been given so far.
struct Life {
    bool over() const {
        return std::any_of(dead.begin(), dead.end(), [](const auto& ownersDeath) { return *ownersDeath; });
    }
    std::vector<std::shared_ptr<const bool>> dead;
};

struct Chain {
    std::unique_ptr<Deferred<int>> handle;
    std::shared_ptr<Life> life;
};

class World {
public:
    explicit World(unsigned seed) : random_(seed) {}

    void step() {
        using Operation = void (World::*)();
        // What stands here several times is done more often.
        static constexpr Operation operations[] = {
            &World::begin,      &World::begin,      &World::addCallback, &World::addCallback,     &World::addCallback, &World::addErrback,
            &World::fire,       &World::fire,       &World::abandon,     &World::beginCoroutine,  &World::dropHandle,  &World::takeReference,
            &World::cancel,     &World::newOwner,   &World::ownerDies,   &World::pauseAndUnpause, &World::bindToOwner};
        (this->*operations[pick(std::size(operations))])();
        while (chains_.size() > 40) take(chains_);
        while (resolvers_.size() > 40) take(resolvers_);
        while (owners_.size() > 10) take(owners_);
        while (references_.size() > 6) take(references_);
    }
    /// Lets go of everything. What ends may begin something new, so this may take several rounds.
    void end() {
        for (int round = 0; round < 1000 && !(resolvers_.empty() && owners_.empty() && chains_.empty()); ++round) {
            while (!resolvers_.empty()) take(resolvers_);
            while (!owners_.empty()) take(owners_);
            while (!chains_.empty()) take(chains_);
        }
        references_.clear();
    }
    /// Captures and frames that were not released.
    long alive() const { return token_.use_count() - 1; }
    int ran() const { return ran_; }
    int ranAfterAnOwnersDeath() const { return wrong_; }

private:
    std::size_t pick(std::size_t count) { return random_() % count; }
    bool oneIn(std::size_t count) { return pick(count) == 0; }
    template <class X>
    X& any(std::vector<X>& all) {
        return all[pick(all.size())];
    }
    template <class X>
    X take(std::vector<X>& all) {
        const auto place = all.begin() + static_cast<std::ptrdiff_t>(pick(all.size()));
        X taken = std::move(*place);
        all.erase(place);
        return taken;
    }

    // --- What the user's code does.

    void act() {
        ++ran_;
        if (depth_ > 6) return;
        ++depth_;
        for (auto steps = pick(3); steps > 0; --steps) step();
        --depth_;
    }
    Deferred<int> stage(const Life& life, int value) {
        if (life.over()) ++wrong_;
        act();
        switch (pick(6)) {
        case 0: throw oops();
        case 1: return chains_.empty() ? bine::succeed(value) : std::move(*take(chains_).handle);
        case 2: return std::move(*newCoroutine().handle);
        default: return bine::succeed(value + 1);
        }
    }
    Deferred<int> body(std::shared_ptr<Life> life, std::shared_ptr<int>) {
        const auto local = token_;
        for (auto awaits = pick(4); awaits > 0 && !chains_.empty(); --awaits) {
            const Chain chain = take(chains_);
            const bool diesAnyway = life->over();  // at the first await that has to wait
            bool failed = false;
            try {
                if (oneIn(2))
                    co_await *chain.handle;
                else
                    co_await std::move(*chain.handle);
            } catch (const std::exception&) {
                failed = true;
            }
            if (life->over() && !diesAnyway) ++wrong_;
            act();
            if (failed && oneIn(3)) throw oops();
        }
        co_return 1;
    }
    Chain newCoroutine() {
        auto life = std::make_shared<Life>();
        Chain chain{std::make_unique<Deferred<int>>(body(life, token_)), life};
        if (oneIn(2) && !owners_.empty()) bind(chain, *any(owners_));
        return chain;
    }
    void canceller(Resolver<int>& self) {
        act();
        if (oneIn(3) && !self.called())
            self.callback(1);
        else if (oneIn(4))
            throw oops();
    }
    static void bind(Chain& chain, Owner& owner) {
        chain.handle->ownedBy(owner);
        chain.life->dead.push_back(owner.dead);
    }

    // --- The operations.

    void begin() {
        auto resolver = oneIn(3) ? std::make_unique<Resolver<int>>([this, token = token_](Resolver<int>& self) { canceller(self); })
                                 : std::make_unique<Resolver<int>>();
        chains_.push_back({std::make_unique<Deferred<int>>(resolver->deferred()), std::make_shared<Life>()});
        resolvers_.push_back(std::move(resolver));
    }
    void beginCoroutine() { chains_.push_back(newCoroutine()); }
    // What this adds may run at once, and destroy the very handle.
    void addCallback() {
        if (chains_.empty()) return;
        const auto& [handle, life] = any(chains_);
        handle->addCallback([this, life = life, token = token_](int value) { return stage(*life, value); });
    }
    void addErrback() {
        if (chains_.empty()) return;
        const auto& [handle, life] = any(chains_);
        handle->addErrback([this, life = life, token = token_](const Failure&) { return stage(*life, 0); });
    }
    void fire() {
        if (resolvers_.empty()) return;
        const auto resolver = take(resolvers_);
        try {
            if (oneIn(3))
                resolver->errback(oops());
            else
                resolver->callback(1);
        } catch (const bine::AlreadyCalledError&) {  // it was cancelled
        }
    }
    void abandon() {
        if (!resolvers_.empty()) take(resolvers_);
    }
    void dropHandle() {
        if (!chains_.empty()) take(chains_);
    }
    void takeReference() {
        if (!chains_.empty()) references_.push_back(any(chains_).handle->ref());
    }
    void cancel() {
        if (!references_.empty()) DeferredRef(any(references_)).cancel();
    }
    void pauseAndUnpause() {
        if (references_.empty()) return;
        DeferredRef reference = any(references_);
        if (oneIn(2)) reference.pause();
        reference.unpause();
    }
    void newOwner() { owners_.push_back(std::make_unique<Owner>()); }
    void ownerDies() {
        if (owners_.empty()) return;
        if (oneIn(3))
            any(owners_)->endAll();
        else
            take(owners_);
    }
    void bindToOwner() {
        if (!chains_.empty() && !owners_.empty()) bind(any(chains_), *any(owners_));
    }

    std::mt19937 random_;
    std::shared_ptr<int> token_ = std::make_shared<int>(0);  // in every capture and every frame
    int depth_ = 0;
    int ran_ = 0;
    int wrong_ = 0;
    std::vector<std::unique_ptr<Resolver<int>>> resolvers_;
    std::vector<Chain> chains_;
    std::vector<std::unique_ptr<Owner>> owners_;
    std::vector<DeferredRef> references_;
};

}  // namespace

class RandomLifetimesTest : public QObject {
    Q_OBJECT

private slots:
    void initTestCase() { bine::setLogLevel(bine::LogLevel::error); }  // chains that would wait for themselves are only warned of

    void r268_nothingRunsAfterItsOwnersDeathAndAllIsReleased_data() {
        QTest::addColumn<int>("seed");
        bool alone = false;
        const int chosen = qEnvironmentVariableIntValue("BINE_SEED", &alone);
        for (int seed = alone ? chosen : 1; seed <= (alone ? chosen : seeds); ++seed) QTest::addRow("BINE_SEED=%d", seed) << seed;
    }
    void r268_nothingRunsAfterItsOwnersDeathAndAllIsReleased() {
        QFETCH(const int, seed);
        LogRecorder recorder;  // most failures here are nobody's
        World world(static_cast<unsigned>(seed));
        for (int i = 0; i < stepsPerSeed; ++i) {
            world.step();
            if (i % 100 == 0) recorder.flush();
        }
        world.end();
        recorder.flush();
        QCOMPARE(world.ranAfterAnOwnersDeath(), 0);
        QCOMPARE(world.alive(), 0L);
        QVERIFY(world.ran() > stepsPerSeed / 10);
    }
};

QTEST_GUILESS_MAIN(RandomLifetimesTest)
#include "random_lifetimes_test.moc"
