// Which places reports name, and how they call a function.

#include <QtTest/QtTest>

#include <source_location>
#include <string>

#include "bine/log/place.h"

using bine::detail::isInternalFile;
using bine::detail::shortFunctionName;

namespace {

std::string nameHere(std::source_location where = std::source_location::current()) { return shortFunctionName(where.function_name()); }

struct Window {
    template <class T>
    std::string templated(T) const { return nameHere(); }
    std::string operator()(int) const { return nameHere(); }
    std::string operator<(const Window&) const { return nameHere(); }
    std::string lambda() const { return [](std::string) { return nameHere(); }("x"); }
};

} // namespace

class LogPlaceTest : public QObject {
    Q_OBJECT

private slots:
    void functionsStandByNameAlone() {
        QCOMPARE(nameHere(), std::string("LogPlaceTest::functionsStandByNameAlone"));
        QCOMPARE(Window().templated(std::vector<int>()), std::string("Window::templated"));
        QCOMPARE(Window()(1), std::string("Window::operator()"));
        QCOMPARE(Window() < Window(), std::string("Window::operator<"));
        QCOMPARE(Window().lambda(), std::string("Window::lambda::lambda"));
        QCOMPARE(shortFunctionName("int main()"), std::string("main"));
        QCOMPARE(shortFunctionName("void app::f(app::f(int)::_ZN3app1fEi.Frame*)"), std::string("app::f"));
        QCOMPARE(shortFunctionName(""), std::string());
    }
    void sourcesAndHeadersOfTheLibraryAreInternal() {
        for (const char* file : {BINE_TEST_SOURCES "/net/tcp.cpp", "/usr/include/bine/defer/resolver.h", "include/bine/reactors/reactor.h", "/usr/include/c++/12/bits/shared_ptr.h", ""})
            QVERIFY2(isInternalFile(file), file);
    }
    void placesOfTheProgramAreNot() {
        for (const char* file : {"main.cpp", "/home/me/app/main.cpp", "/home/me/bine/demo_apps/main.cpp", "src/net/tcp.cpp", "/home/me/bine/net/main.cpp", BINE_TEST_SOURCES "/tests/net/main.cpp", "net/tcp.h"})
            QVERIFY2(!isInternalFile(file), file);
    }
};

QTEST_GUILESS_MAIN(LogPlaceTest)
#include "test_log_place.moc"
