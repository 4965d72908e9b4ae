// Services that go while others, or they themselves, are being started and stopped.

#include "application/service_testing.h"

using bine::Deferred;
using bine::MultiService;
using bine::Service;

class ServiceLifetimeTest : public QObject {
    Q_OBJECT
    NothingLogged log_;

private slots:
    void cleanup() { log_.check(); }

    void aParentKeepsASharedChild() {
        std::string story;
        std::weak_ptr<Told> a;
        {
            MultiService root;
            a = child(story, "a", root);
            QVERIFY(!a.expired());
            root.startService();
        }
        QVERIFY(a.expired());
        QCOMPARE(story, std::string("p:a +a")); // destroyed, not stopped
    }
    void oneThatLeavesIsNotKept() {
        std::string story;
        MultiService root;
        const std::weak_ptr<Told> a = child(story, "a", root);
        a.lock()->disownServiceParent();
        QVERIFY(a.expired());
    }
    void oneThatLeavesIsKeptUntilItHasStopped() {
        MultiService root;
        bine::Resolver<> end;
        bool done = false;
        struct Slow : Service {
            Slow(bine::Resolver<>& end, bool& done) : end_(end), done_(done) {}
            Deferred<> stopService() override {
                co_await end_.deferred();
                done_ = true; // `this` is there
            }
            bine::Resolver<>& end_;
            bool& done_;
        };
        std::weak_ptr<Slow> weak;
        {
            auto slow = std::make_shared<Slow>(end, done);
            slow->setServiceParent(root);
            root.startService();
            weak = slow;
            slow->disownServiceParent();
        }
        QVERIFY(!weak.expired());
        end.callback();
        QVERIFY(done && weak.expired());
    }
    void aMemberThatIsDestroyedLeaves() {
        std::string story;
        MultiService root;
        {
            Told a(story, "a", &root);
            root.startService();
        }
        QVERIFY(root.services().empty());
        QVERIFY(root.stopService().called());
        QCOMPARE(story, std::string("p:a +a"));
    }
    void aMemberOutlivesItsParent() {
        std::string story;
        Told a(story, "a");
        {
            MultiService root;
            a.setServiceParent(root);
            root.startService();
        }
        QVERIFY(!a.parent());
        MultiService other;
        a.setServiceParent(other);
        QCOMPARE(a.parent(), &other);
    }
    void theYoungestGoesFirst() {
        std::string story, end;
        {
            MultiService root;
            for (const char* name : {"a", "b", "c"})
                child(story, name, root)->onDestroyed = [&end, name] { end += name; };
        }
        QCOMPARE(end, std::string("cba"));
    }
    void aParentThatDiesWhileItStops() {
        std::string story;
        Told a(story, "a");
        a.slow.emplace();
        Deferred<> stopped = bine::succeed();
        {
            MultiService root;
            a.setServiceParent(root);
            child(story, "kept", root)->slow.emplace(); // dies with the parent
            root.startService();
            stopped = root.stopService();
        }
        QVERIFY(!stopped.called());
        a.slow->callback();
        QVERIFY(stopped.called());
    }
    void aChildThatDiesWhileItStopsIsNotWaitedFor() {
        std::string story;
        MultiService root;
        std::optional<Told> a;
        a.emplace(story, "a", &root);
        a->slow.emplace();
        root.startService();
        auto stopped = root.stopService();
        a.reset();
        QVERIFY(stopped.called());
    }
    void norIfItsEndIsInOtherHands() {
        class Elsewhere : public Service {
        public:
            explicit Elsewhere(bine::Resolver<>& end) : end_(end) {}
            Deferred<> stopService() override { return end_.deferred(); }

        private:
            bine::Resolver<>& end_;
        };
        bine::Resolver<> end;
        MultiService root;
        std::optional<Elsewhere> service(end);
        service->setServiceParent(root);
        root.startService();
        auto stopped = root.stopService();
        service.reset();
        QVERIFY(stopped.called());
        end.callback(); // of no interest
    }
    void norOneWhoseEndHasAnOwnerThatDies() {
        struct Owned : Service {
            bine::Resolver<> end;
            std::optional<bine::Scope> window{std::in_place};
            Deferred<> stopService() override { return end.deferred().ownedBy(*window); }
        };
        MultiService root;
        Owned owned;
        owned.setServiceParent(root);
        root.startService();
        auto stopped = root.stopService();
        owned.window.reset();
        QVERIFY(stopped.called());
    }
    void aServiceThatHoldsItsOwnEndIsNoCycle() {
        std::string story;
        std::weak_ptr<Told> a;
        {
            MultiService root;
            auto made = child(story, "a", root);
            made->slow.emplace();
            a = made;
            root.startService();
            root.stopService(); // nobody will ever fire it
        }
        QVERIFY(a.expired());
    }

    // --- Inside.

    void aChildRemovesItselfInItsStart_data() { where(); }
    void aChildRemovesItselfInItsStart() {
        QFETCH(bool, privileged);
        std::string story;
        MultiService root;
        const auto a = child(story, "a", root), b = child(story, "b", root);
        (privileged ? a->onPrepare : a->onStart) = [&] { a->disownServiceParent(); };
        root.startService();
        QCOMPARE(story, std::string(privileged ? "p:a -a p:b +b" : "p:a +a -a p:b +b"));
        QVERIFY(!a->parent() && !a->running() && b->running());
    }
    void aChildDestroysItselfInItsStart_data() { where(); }
    void aChildDestroysItselfInItsStart() {
        QFETCH(bool, privileged);
        std::string story;
        MultiService root;
        auto a = std::make_unique<Told>(story, "a"); // not kept
        a->setServiceParent(root);
        const auto b = child(story, "b", root);
        (privileged ? a->onPrepare : a->onStart) = [&] { a.reset(); };
        root.startService();
        QCOMPARE(story, std::string(privileged ? "p:a p:b +b" : "p:a +a p:b +b"));
    }
    void aChildRemovesItsSiblings() {
        std::string story;
        MultiService root;
        const auto a = child(story, "a", root), b = child(story, "b", root), c = child(story, "c", root);
        b->onStart = [&] {
            a->disownServiceParent();
            c->disownServiceParent();
        };
        root.startService();
        QCOMPARE(story, std::string("p:a +a p:b +b -a"));
        QCOMPARE(root.services(), std::vector<Service*>{b.get()});
    }
    void aChildDestroysItsParentInItsStart_data() { where(); }
    void aChildDestroysItsParentInItsStart() {
        QFETCH(bool, privileged);
        std::string story;
        auto root = std::make_unique<MultiService>();
        const auto a = child(story, "a", *root), b = child(story, "b", *root);
        (privileged ? a->onPrepare : a->onStart) = [&] { root.reset(); };
        root->startService();
        QVERIFY(!a->parent() && !b->parent());
        QVERIFY(!b->running());
    }
    void aChildStopsTheTreeInItsStart() {
        std::string story;
        MultiService root;
        const auto a = child(story, "a", root), b = child(story, "b", root), c = child(story, "c", root);
        b->onStart = [&] { root.stopService(); };
        root.startService();
        QCOMPARE(story, std::string("p:a +a p:b +b -b -a"));
        QVERIFY(!root.running() && !c->running());
    }
    void aChildThatDestroysItsParentAndThrows() {
        std::string story;
        auto root = std::make_unique<MultiService>();
        const auto a = child(story, "a", *root);
        a->onStart = [&] {
            root.reset();
            throw oops();
        };
        QVERIFY_THROWS_EXCEPTION(std::runtime_error, root->startService());
        QVERIFY(!a->running());
    }
    void aChildRemovesItselfInItsStop() {
        std::string story;
        MultiService root;
        const auto a = child(story, "a", root), b = child(story, "b", root);
        b->onStop = [&] { b->disownServiceParent(); };
        b->slow.emplace();
        root.startService();
        story.clear();
        auto stopped = root.stopService();
        QCOMPARE(story, std::string("-b -a"));
        QVERIFY(!stopped.called() && !b->parent());
        b->slow->callback();
        QVERIFY(stopped.called());
    }
    void aChildDestroysItselfInItsStop() {
        std::string story;
        MultiService root;
        auto a = std::make_unique<Told>(story, "a");
        a->setServiceParent(root);
        root.startService();
        class Gone : public Service {
        public:
            explicit Gone(std::unique_ptr<Service>& self) : self_(self) {}
            Deferred<> stopService() override {
                self_.reset();
                return bine::succeed();
            }

        private:
            std::unique_ptr<Service>& self_;
        };
        std::unique_ptr<Service> gone;
        gone = std::make_unique<Gone>(gone);
        gone->setServiceParent(root);
        auto stopped = root.stopService();
        QVERIFY(stopped.called() && !gone);
        QCOMPARE(root.services(), std::vector<Service*>{a.get()});
    }
    void aChildDestroysItsSiblingInItsStop() {
        std::string story;
        MultiService root;
        auto a = std::make_unique<Told>(story, "a");
        a->setServiceParent(root);
        const auto b = child(story, "b", root);
        b->onStop = [&] { a.reset(); };
        root.startService();
        story.clear();
        auto stopped = root.stopService();
        QVERIFY(stopped.called());
        QCOMPARE(story, std::string("-b"));
    }
    void aChildDestroysItsParentInItsStop() {
        std::string story;
        auto root = std::make_unique<MultiService>();
        const auto a = child(story, "a", *root), b = child(story, "b", *root);
        b->onStop = [&] { root.reset(); };
        root->startService();
        story.clear();
        auto stopped = root->stopService();
        QVERIFY(stopped.called());
        QCOMPARE(story, std::string("-b")); // a has no parent any more that would stop it
    }
    void aChildThatLeavesInItsStopAndIsHeldByNobody() {
        std::string story;
        MultiService root;
        const std::weak_ptr<Told> a = child(story, "a", root);
        a.lock()->onStop = [&] { a.lock()->disownServiceParent(); };
        root.startService();
        QVERIFY(root.stopService().called());
        QVERIFY(a.expired());
    }
    void manyOfThem() {
        std::string story;
        MultiService root;
        for (int i = 0; i < 2000; ++i)
            child(story, std::to_string(i), root)->slow.emplace();
        root.startService();
        auto stopped = root.stopService();
        for (Service* each : root.services())
            static_cast<Told*>(each)->slow->callback();
        QVERIFY(stopped.called());
    }

private:
    static void where() {
        QTest::addColumn<bool>("privileged");
        QTest::newRow("privileged") << true;
        QTest::newRow("start") << false;
    }
};

QTEST_GUILESS_MAIN(ServiceLifetimeTest)
#include "service_lifetime_test.moc"
