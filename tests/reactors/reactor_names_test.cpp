// Reactors by name.

#include <QtTest/QtTest>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

#include "bine/reactors/native_reactors.h"
#include "bine/reactors/reactor_names.h"

#ifdef BINE_HAVE_QT
#include "bine/qtreactor/qt_reactor.h"
#endif
#ifdef BINE_HAVE_GTK
#include "bine/gtkreactor/glib_reactor.h"
#endif

using bine::reactorByName;
using bine::reactorNames;
using bine::registerReactor;

namespace {

template <class T>
bool isA(const std::unique_ptr<bine::ReactorBase>& reactor) {
    return dynamic_cast<T*>(reactor.get()) != nullptr;
}

bool known(const std::string& name) {
    const std::vector<std::string> all = reactorNames();
    return std::find(all.begin(), all.end(), name) != all.end();
}

std::string complaintAbout(std::string_view name) {
    try {
        reactorByName(name);
    } catch (const std::invalid_argument& error) {
        return error.what();
    }
    return {};
}

class Mine : public bine::EpollReactor {};

}  // namespace

class ReactorNamesTest : public QObject {
    Q_OBJECT

private slots:
    // First: nothing is known that nobody has registered.
    void r263_theNativeOnesAreKnown() {
        QVERIFY((reactorNames() == std::vector<std::string>{"default", "epoll", "poll", "select"}));
        QVERIFY(isA<bine::EpollReactor>(reactorByName("default")));
        QVERIFY(isA<bine::EpollReactor>(reactorByName("epoll")));
        QVERIFY(isA<bine::PollReactor>(reactorByName("poll")));
        QVERIFY(isA<bine::SelectReactor>(reactorByName("select")));
    }
    void anUnknownNameThrowsAndTheTextListsTheKnownOnes() {
        QCOMPARE(complaintAbout("kqueue"), std::string("there is no reactor called 'kqueue', but: default epoll poll select"));
        QCOMPARE(complaintAbout("Epoll").substr(0, 34), std::string("there is no reactor called 'Epoll'"));
        QVERIFY(!complaintAbout("").empty());
    }
#ifdef BINE_HAVE_QT
    void r263_qtIsKnownOnceItIsRegistered() {
        QVERIFY(!known("qt"));
        bine::registerQtReactor();
        bine::registerQtReactor();
        QVERIFY(isA<bine::QtReactor>(reactorByName("qt")));
    }
#endif
#ifdef BINE_HAVE_GTK
    void r263_glibIsKnownOnceItIsRegistered() {
        QVERIFY(!known("glib"));
        bine::registerGlibReactor();
        QVERIFY(isA<bine::GlibReactor>(reactorByName("glib")));
    }
#endif
    void oneOfYourOwn() {
        registerReactor("mine", []() -> std::unique_ptr<bine::ReactorBase> { return std::make_unique<Mine>(); });
        QVERIFY(isA<Mine>(reactorByName("mine")));
        QVERIFY(known("mine"));
    }
    void theLastMeaningCounts() {
        registerReactor("other", []() -> std::unique_ptr<bine::ReactorBase> { return std::make_unique<Mine>(); });
        registerReactor("other", []() -> std::unique_ptr<bine::ReactorBase> { return std::make_unique<bine::PollReactor>(); });
        QVERIFY(isA<bine::PollReactor>(reactorByName("other")));
    }
    void aMakerMayAskForAnother() {
        registerReactor("same", [] { return reactorByName("poll"); });
        QVERIFY(isA<bine::PollReactor>(reactorByName("same")));
    }
    void aNameAndAMakerAreNeeded() {
        QVERIFY_THROWS_EXCEPTION(std::invalid_argument, registerReactor("", [] { return reactorByName("poll"); }));
        QVERIFY_THROWS_EXCEPTION(std::invalid_argument, registerReactor("none", nullptr));
        QVERIFY(!known("none"));
    }
};

QTEST_GUILESS_MAIN(ReactorNamesTest)
#include "reactor_names_test.moc"
