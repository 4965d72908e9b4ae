// Service and MultiService: starting, stopping, names.

#include "application/service_testing.h"

#include "bine/defer/errors.h"
#include "bine/reactors/manual_clock.h"

using namespace std::chrono_literals;
using bine::Deferred;
using bine::MultiService;
using bine::Service;

class ServiceTest : public QObject {
    Q_OBJECT
    NothingLogged log_;

    std::vector<std::string> logged() {
        std::vector<std::string> messages;
        for (const auto& event : log_.recorder().flush())
            messages.push_back(event.message);
        return messages;
    }

private slots:
    void cleanup() { log_.check(); }

    void childrenStartInOrderAndStopInReverse() {
        std::string story;
        MultiService root;
        Told a(story, "a", &root), b(story, "b", &root), c(story, "c", &root);
        root.privilegedStartService();
        root.startService();
        QVERIFY(root.running() && a.running() && c.running());
        auto stopped = root.stopService();
        QVERIFY(!root.running() && !a.running() && !c.running());
        QCOMPARE(outcome(stopped), std::string("fired"));
        QCOMPARE(story, std::string("p:a p:b p:c +a +b +c -c -b -a"));
    }
    void aPrivilegedStartThatWasLeftOutComesBeforeTheStart() {
        std::string story;
        MultiService root;
        Told a(story, "a", &root), b(story, "b", &root);
        root.startService();
        QCOMPARE(story, std::string("p:a +a p:b +b"));
    }
    void whatIsStoppedCanBeStartedAgain() {
        std::string story;
        MultiService root;
        Told a(story, "a", &root);
        root.startService();
        root.stopService();
        root.startService();
        QCOMPARE(story, std::string("p:a +a -a p:a +a"));
    }
    void aChildThatRunsIsNotStartedOnceMore() {
        std::string story;
        MultiService root;
        Told a(story, "a", &root);
        root.startService();
        root.startService();
        QCOMPARE(story, std::string("p:a +a"));
    }
    void stoppingWhatDoesNotRunCallsNobody() {
        std::string story;
        MultiService root;
        Told a(story, "a", &root);
        auto stopped = root.stopService();
        QCOMPARE(outcome(stopped), std::string("fired"));
        QCOMPARE(story, std::string());
    }
    void aPrivilegedStartAloneIsStoppedToo() {
        std::string story;
        MultiService root;
        Told a(story, "a", &root);
        root.privilegedStartService();
        root.stopService();
        QCOMPARE(story, std::string("p:a -a"));
    }
    void aTreeOfTreesIsOne() {
        std::string story;
        MultiService root, inner;
        Told a(story, "a", &root);
        inner.setServiceParent(root);
        Told b(story, "b", &inner), c(story, "c", &root);
        root.privilegedStartService();
        root.startService();
        root.stopService();
        QCOMPARE(story, std::string("p:a p:b p:c +a +b +c -c -b -a"));
    }
    void aChildAddedToARunningParentStartsAtOnce() {
        std::string story;
        MultiService root;
        root.startService();
        const auto a = child(story, "a", root);
        QVERIFY(a->running());
        QCOMPARE(story, std::string("p:a +a"));
    }
    void oneThatIsAddedWhileOthersStartStartsOnce() {
        std::string story;
        MultiService root;
        Told a(story, "a", &root), b(story, "b", &root);
        std::shared_ptr<Told> late;
        a.onStart = [&] { late = child(story, "late", root); };
        root.startService();
        QCOMPARE(story, std::string("p:a +a p:late +late p:b +b"));
    }
    void aServiceThatForgetsItsBaseClassRunsAllTheSame() {
        std::string story;
        MultiService root;
        Told a(story, "a", &root); // calls none of Service's functions
        root.startService();
        QVERIFY(a.running());
        root.stopService();
        QVERIFY(!a.running());
    }

    // --- The end.

    void theEndWaitsForAllChildren() {
        std::string story;
        MultiService root;
        Told a(story, "a", &root), b(story, "b", &root);
        a.slow.emplace();
        b.slow.emplace();
        root.startService();
        auto stopped = root.stopService();
        QCOMPARE(story, std::string("p:a +a p:b +b -b -a")); // none waits for another
        a.slow->callback();
        QCOMPARE(outcome(stopped), std::string("nothing yet"));
        b.slow->callback();
        QVERIFY(stopped.called());
    }
    void aFailingChildIsLoggedByNameAndTheOthersStop() {
        std::string story;
        MultiService root;
        Told a(story, "a", &root), b(story, "b", &root), c(story, "c", &root);
        b.onStop = [] { throw oops("b cannot stop"); };
        c.slow.emplace();
        root.startService();
        story.clear();
        auto stopped = root.stopService();
        QCOMPARE(story, std::string("-c -b -a"));
        c.slow->errback(oops("c neither"));
        QCOMPARE(outcome(stopped), std::string("fired"));
        QCOMPARE(logged(), (std::vector<std::string>{"Unhandled error in stopping the service 'b'", "Unhandled error in stopping the service 'c'"}));
    }
    void aNamelessOneIsLoggedByItsClass() {
        struct Stubborn : Service {
            Deferred<> stopService() override { throw oops(); }
        };
        MultiService root;
        Stubborn child;
        child.setServiceParent(root);
        root.startService();
        root.stopService();
        QCOMPARE(logged(), std::vector<std::string>{"Unhandled error in stopping a nameless Stubborn"});
    }
    void whoAsksForTheEndMeanwhileWaitsForTheSameEnd() {
        std::string story;
        MultiService root;
        Told a(story, "a", &root);
        a.slow.emplace();
        root.startService();
        auto first = root.stopService(), second = root.stopService();
        auto third = a.disownServiceParent();
        QCOMPARE(story, std::string("p:a +a -a"));
        QVERIFY(!second.called() && !third.called());
        a.slow->callback();
        QVERIFY(first.called() && second.called() && third.called());
    }
    void whatHasNotStoppedYetCannotBeStarted() {
        std::string story;
        MultiService root;
        Told a(story, "a", &root);
        a.slow.emplace();
        root.startService();
        root.stopService();
        QVERIFY_THROWS_EXCEPTION(std::logic_error, root.startService());
        QVERIFY(!root.running());
        a.slow->callback();
        a.slow.reset();
        root.startService();
        QVERIFY(a.running());
    }
    void cancellingTheEndEndsTheWaitingOnly() {
        std::string story;
        bine::ManualClock clock;
        MultiService root;
        Told a(story, "a", &root);
        a.slow.emplace();
        root.startService();
        auto stopped = root.stopService().addTimeout(1s, clock);
        clock.advance(1s);
        QCOMPARE(outcome(stopped), std::string("bine::TimeoutError"));
        QVERIFY(!a.slow->called());
        auto again = root.stopService();
        QVERIFY(!again.called());
        a.slow->callback();
        QVERIFY(again.called());
    }
    void aFailureThatNobodyWaitsForAnyMoreIsLogged() {
        std::string story;
        MultiService root;
        Told a(story, "a", &root);
        a.slow.emplace();
        root.startService();
        auto stopped = root.stopService();
        stopped.cancel();
        stopped.addErrback([](const bine::Failure&) {});
        a.slow->errback(oops());
        QCOMPARE(logged(), std::vector<std::string>{"Unhandled error in stopping the service 'a'"});
    }
    void anEndMayBeACoroutine() {
        struct Saver : Service {
            bine::Resolver<> saved;
            std::string story;
            Deferred<> stopService() override {
                story += "saving ";
                co_await saved.deferred();
                story += "saved";
            }
        };
        MultiService root;
        Saver saver;
        saver.setServiceParent(root);
        root.startService();
        auto stopped = root.stopService();
        QVERIFY(!stopped.called());
        saver.saved.callback();
        QVERIFY(stopped.called());
        QCOMPARE(saver.story, std::string("saving saved"));
    }

    // --- A start that fails.

    void aStartThatFailsStopsWhatHasStarted() {
        std::string story;
        MultiService root;
        Told a(story, "a", &root), b(story, "b", &root), c(story, "c", &root);
        b.onStart = [] { throw oops(); };
        QVERIFY_THROWS_EXCEPTION(std::runtime_error, root.startService());
        QCOMPARE(story, std::string("p:a +a p:b +b -b -a")); // b had its privileged start
        QVERIFY(!root.running() && !a.running() && !b.running() && !c.running());
    }
    void aPrivilegedStartThatFailsStopsWhatHasHadIt() {
        std::string story;
        MultiService root;
        Told a(story, "a", &root), b(story, "b", &root), c(story, "c", &root);
        b.onPrepare = [] { throw oops(); };
        QVERIFY_THROWS_EXCEPTION(std::runtime_error, root.privilegedStartService());
        QCOMPARE(story, std::string("p:a p:b -a"));
        b.onPrepare = nullptr;
        root.startService();
        QVERIFY(c.running());
    }
    void aFailureDeepDownStopsTheWholeTree() {
        std::string story;
        MultiService root, inner;
        Told a(story, "a", &root);
        inner.setServiceParent(root);
        Told b(story, "b", &inner), c(story, "c", &inner);
        c.onPrepare = [] { throw oops(); };
        QVERIFY_THROWS_EXCEPTION(std::runtime_error, root.startService());
        QCOMPARE(story, std::string("p:a +a p:b p:c -b -a"));
        QVERIFY(!root.running() && !inner.running());
    }
    void anAddedChildWhoseStartFailsHasNoParent() {
        std::string story;
        MultiService root;
        root.startService();
        Told a(story, "a");
        a.onStart = [] { throw oops(); };
        QVERIFY_THROWS_EXCEPTION(std::runtime_error, a.setServiceParent(root));
        QCOMPARE(story, std::string("p:a +a -a"));
        QVERIFY(!a.parent() && root.services().empty() && root.running());
    }

    // --- Parents and names.

    void leavingARunningParentStops() {
        std::string story;
        MultiService root;
        Told a(story, "a", &root);
        root.startService();
        a.slow.emplace();
        auto stopped = a.disownServiceParent();
        QVERIFY(!a.parent() && !a.running() && !stopped.called());
        a.slow->errback(oops("to whoever asked"));
        QCOMPARE(outcome(stopped), std::string("std::runtime_error"));
    }
    void leavingOneThatDoesNotRunIsJustThat() {
        std::string story;
        MultiService root;
        Told a(story, "a", &root);
        auto left = a.disownServiceParent(), nothing = a.disownServiceParent();
        QVERIFY(left.called() && nothing.called() && !a.parent() && story.empty());
    }
    void theParentsEndWaitsForThoseWhoLeft() {
        std::string story;
        MultiService root;
        Told a(story, "a", &root);
        a.slow.emplace();
        root.startService();
        a.disownServiceParent();
        auto stopped = root.stopService();
        QVERIFY(!stopped.called());
        a.slow->callback();
        QVERIFY(stopped.called());
    }
    void anotherParentIsMovedTo() {
        std::string story;
        MultiService one, two;
        one.startService();
        two.startService();
        Told a(story, "a", &one);
        a.setServiceParent(two);
        QCOMPARE(story, std::string("p:a +a -a p:a +a"));
        QVERIFY(one.services().empty());
        QCOMPARE(a.parent(), &two);
        a.slow.emplace();
        QVERIFY_THROWS_EXCEPTION(std::logic_error, a.setServiceParent(one)); // which takes its time
        QVERIFY(!a.parent());
        a.slow->callback();
    }
    void namesAreUniqueAmongSiblings() {
        std::string story;
        MultiService root;
        Told a(story, "a", &root), other(story, "a");
        Service nameless, too;
        QVERIFY_THROWS_EXCEPTION(std::invalid_argument, other.setServiceParent(root));
        QVERIFY(!other.parent());
        nameless.setServiceParent(root);
        too.setServiceParent(root);
        QCOMPARE(root.services(), (std::vector<Service*>{&a, &nameless, &too}));
    }
    void aNameStaysWhileThereIsAParent() {
        std::string story;
        MultiService root;
        Told a(story, "a", &root);
        QVERIFY_THROWS_EXCEPTION(std::logic_error, a.setName("b"));
        a.disownServiceParent();
        a.setName("b");
        QCOMPARE(a.name(), std::string("b"));
    }
    void childrenAreFoundByName() {
        std::string story;
        MultiService root;
        Told a(story, "a", &root), b(story, "b", &root);
        QCOMPARE(&root.getServiceNamed("b"), &b);
        try {
            root.getServiceNamed("c");
            QFAIL("there is none");
        } catch (const std::out_of_range& error) {
            QCOMPARE(std::string(error.what()), std::string("getServiceNamed: there is no service 'c'; there are: a, b"));
        }
        QVERIFY_THROWS_EXCEPTION(std::out_of_range, MultiService().getServiceNamed(""));
    }
    void noServiceIsItsOwnDescendant() {
        MultiService root, inner;
        inner.setServiceParent(root);
        QVERIFY_THROWS_EXCEPTION(std::invalid_argument, root.setServiceParent(inner));
        QVERIFY_THROWS_EXCEPTION(std::invalid_argument, root.setServiceParent(root));
    }
};

QTEST_GUILESS_MAIN(ServiceTest)
#include "service_test.moc"
