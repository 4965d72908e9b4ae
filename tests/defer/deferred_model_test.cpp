// The engine against the reference model of Deferreds (deferred_model.h): well-known answers that both have to give, and random programs on which they have to
// agree. BINE_SEED=<seed> runs one of the random programs alone. fuzz/fuzz_deferred.cpp looks for more of them.

#include <QtTest/QtTest>

#include <cstdio>
#include <random>

#include "bine/log/sanitizer.h"
#include "defer/deferred_comparison.h"
#include "defer/deferred_program.h"

namespace {

#ifdef BINE_SANITIZED
constexpr unsigned seeds = 1000;
#else
constexpr unsigned seeds = 4000;
#endif

using Lines = std::vector<std::string>;

/// Without the lines that say what the program does, and without those about the state after each operation.
Lines events(const Lines& lines) {
    Lines events;
    for (const auto& line : lines) {
        const auto start = line.find_first_not_of(' ');
        if (line[start] != '>' && line[start] != '=' && line != "end") events.push_back(line.substr(start));
    }
    return events;
}

/// Writes programs that have more sense than chance gives them: few places, and braces that close.
class ProgramWriter {
public:
    explicit ProgramWriter(unsigned seed) : random_(seed), livePlaces_(2 + pick(5)) {}

    std::string program() {
        operations(5 + pick(40), 0, false);
        return std::move(text_);
    }

private:
    std::size_t pick(std::size_t count) { return random_() % count; }
    char one(std::string_view of) { return text_ += of[pick(of.size())], text_.back(); }
    void number(std::size_t below) { text_ += static_cast<char>('0' + pick(below)); }
    void place() { number(livePlaces_); }
    void braces(std::size_t mostOperations, std::size_t depth, bool awaits) {
        if (depth > 3) return;
        text_ += '{';
        operations(pick(mostOperations + 1), depth + 1, awaits);
        text_ += '}';
    }
    void function(std::size_t depth) {
        one("vvvstrwdddd");
        place();
        if (pick(3) == 0) braces(3, depth, false);
    }
    void operations(std::size_t count, std::size_t depth, bool awaits) {
        for (; count > 0; --count) {
            if (awaits && pick(2) == 0) {
                text_ += 'a';
                place();
                one("rrllhh");
                one("sspt");
            } else {
                operation(depth);
            }
        }
    }
    void operation(std::size_t depth) {
        const char does = one(depth == 0 ? "mmmmsxccccceebbpfffggkkkhhuu>>drooozyywwww==" : "msxccccceebbpfffggkkkhhuu>>drooozzyywww=");
        if (does == 'z' || does == 'y') return number(2);
        place();
        switch (does) {
        case 'm':
            one("iiiv");
            one("---nvetb");
            if (pick(4) == 0) braces(2, depth, false);
            break;
        case 's':
        case 'x': one("iiiv"); break;
        case 'c':
        case 'e':
        case 'b':
        case 'p':
            one("lliiiv");
            one("pqd");
            function(depth);
            if (does == 'p') function(depth);
            break;
        case 'f': one("vq"); break;
        case 'g': one("vqc"); break;
        case '>':
        case '=': place(); break;
        case 'o': number(2); break;
        case 'w':
            one("iiiv");
            one("vvvt");
            braces(6, depth, true);
            break;
        default: break;
        }
    }

    std::mt19937 random_;
    std::size_t livePlaces_;
    std::string text_;
};

}  // namespace

class DeferredModelTest : public QObject {
    Q_OBJECT

    /// Both of them show these events.
    void shows(const char* program, const Lines& expected) {
        const auto p = algebra::readProgram(program);
        for (const auto& [who, lines] : {std::pair{"the model", algebra::seenByModel(p)}, {"the engine", algebra::seenOfEngine(p)}}) {
            if (events(lines) == expected) continue;
            std::string text = std::string(who) + " shows";
            for (const auto& line : events(lines)) text += "\n    " + line;
            text += "\n of the program\n" + algebra::programText(p);
            QFAIL(text.c_str());
        }
    }

private slots:
    // --- Well-known answers. A callback's number is that of its operation and one more; what it fires or fails with has the number of the operation.

    void d001_d003_callbacksRunInOrderWithWhatTheOneBeforeReturned() {
        shows("m0i-  c0lpv1  c0lpv2  f0v", {"#3 gets 6", "#3 returns 7", "#5 gets 7", "#5 returns 9"});
    }
    void d004_d005_d008_whatACallbackThrowsGoesToTheNextLevelWhichMayLeadBack() {
        shows("s0i  p0lpt0v5  e0lpv2  c0lpv1", {"#3 gets 1", "#3 throws oops 3", "#6 gets oops 3", "#6 returns 2", "#8 gets 2", "#8 returns 3"});
    }
    void d007_d018_failuresPassCallbacksAndAVoidCallbackLeavesNothing() {
        shows("x0i  c0ips0  e0lpv7  c0vps0  c0ipv1",
              {"#5 gets oops 1", "#5 returns 7", "#7 gets 7", "#7 returns nothing", "#9 gets nothing", "#9 returns 1"});
    }
    void d002_d015_aCallbackAddedByACallbackWaitsForItToReturn() {
        shows("s0i  c0lpv1{ c0lps0 s1i c1lps0 }", {"#3 gets 1", "#8 gets 6", "#8 returns 6", "#3 returns 2", "#5 gets 2", "#5 returns 2"});
    }
    void d017_aDeferredThatWouldWaitForItselfFails() {
        shows("m0i- m1i-  c1ldd0  c0ldd1  f1v f0v", {"#4 gets 7", "#4 returns d0", "#6 gets 8", "#6 returns d1", "unhandled: logic_error"});
    }
    void d019_d037_d038_whoFiresAgain() {
        // Twice; after a cancel without a canceller; after one with it.
        shows("m0i- f0v g0v", {"! throws AlreadyCalledError"});
        shows("m0i- e0lpv0 k0 f0v f0v", {"#3 gets CancelledError", "#3 returns 0", "! throws AlreadyCalledError"});
        shows("m0in e0lpv0 k0 f0v", {"#1 cancels", "#3 gets CancelledError", "#3 returns 0", "! throws AlreadyCalledError"});
    }
    void d022_d026_d027_waitingPassesThroughAndTheMiddleComesFirst() {
        shows("m0i- m1i- m2i-  c1ldd2 c1lpv1  c0ldd1 c0lps0  f0v f1v f2v",
              {"#9 gets 12", "#9 returns d1", "#5 gets 13", "#5 returns d2", "#7 gets 14", "#7 returns 15", "#11 gets 15", "#11 returns 15"});
    }
    void d024_d028_whatWasAwaitedIsLeftWithNothing() {
        shows("m0v-  w1iv{a0ls}  c0lps0  g0v", {"#2 gets oops 6", "#2 returns 2", "#2 its frame goes", "#5 gets nothing", "#5 returns nothing"});
    }
    void d031_chainDeferredFiresTheTargetFirst() {
        shows("m0i- c0lpv1  m1i- >10 c1ips0  f1v", {"#3 gets 8", "#3 returns 9", "#7 gets nothing", "#7 returns 0"});
    }
    void d033_d035_pausesAreCounted() {
        shows("m0i- h0 h0 c0lps0 f0v u0 s1i c1lps0 u0", {"#10 gets 8", "#10 returns 8", "#5 gets 6", "#5 returns 6"});
    }
    void d039_d040_d041_whatACancellerFiresIsSeen() {
        shows("m0iv b0lps0 k0 k0", {"#1 cancels", "#3 gets 1", "#3 returns 1"});
        shows("m0ie e0lpv0 k0 k0", {"#1 cancels", "#3 gets oops 1", "#3 returns 0"});
    }
    void d043_theInnermostIsCancelled() {
        shows("m1in s0i c0ldd1 e0lpv0 k0", {"#4 gets 2", "#4 returns d1", "#1 cancels", "#6 gets CancelledError", "#6 returns 0"});
    }
    void d045_anExceptionOfACancellerIsLoggedAndTheErrorDelivered() {
        shows("m0it e0lpv0 k0", {"#1 cancels", "a canceller's exception: oops 1", "#3 gets CancelledError", "#3 returns 0"});
    }
    void d047_d048_aFailureIsReportedOnceAtTheEndAndNotIfItWasHandled() {
        shows("x0i x1i e1lpv0 d1 s2i d0", {"#4 gets oops 2", "#4 returns 0", "unhandled: oops 1"});
        shows("m0i- d0 g0v", {"unhandled: oops 3"});
    }
    void aResolverThatDiesTellsWhoeverWaits() {
        shows("m0i- e0lpv0 r0  m1i- d1 r1", {"#3 gets AbandonedError", "#3 returns 0"});
    }
    void d087_d091_d099_aCoroutineRunsUntilItWaitsAndItsFrameGoesBeforeItsCallbacksRun() {
        shows("m0i- w1iv{ s2i c2lps0 a0rs } c1lps0 f0v", {"#5 gets 3", "#5 returns 3", "#2 gets 9", "#2 returns 11", "#2 its frame goes", "#8 gets 11", "#8 returns 11"});
    }
    void d093_d094_eachCancelMeetsOneAwait() {
        shows("m0i- m1i- w2iv{ a0rs a1rs } k2 k2",
              {"#3 gets CancelledError", "#3 gets CancelledError", "#3 returns 3", "#3 its frame goes"});
    }
    void r268_nothingOfWhatIsOwnedRunsAndItsOperationIsCancelledBeforeItsFrameGoes() {
        shows("m0in b0lps0  w1iv{a0rs} b1lps0 o10 z0", {"#1 cancels", "#4 its frame goes"});
    }
    void r268_whoeverWaitsForItAndIsNotOwnedIsTold() {
        shows("m0in  w1iv{a0rs} o10  w2iv{a1rs} z0", {"#1 cancels", "#2 its frame goes", "#5 gets CancelledError", "#5 returns 5", "#5 its frame goes"});
    }

    // --- Programs.

    void anyBytesAreAProgramAndItsShortestBytesAreTheSame() {
        std::mt19937 random(1);
        for (int i = 0; i < 300; ++i) {
            std::string bytes(random() % 300, ' ');
            for (char& byte : bytes) byte = static_cast<char>(random());
            const auto program = algebra::readProgram(bytes);
            const auto again = algebra::readProgram(algebra::bytesOf(program));
            QCOMPARE(QString::fromStdString(algebra::programText(again)), QString::fromStdString(algebra::programText(program)));
            QCOMPARE(QString::fromStdString(algebra::difference(program)), QString());
        }
    }
    void theEngineDoesInRandomProgramsWhatTheModelSays() {
        bool alone = false;
        const int chosen = qEnvironmentVariableIntValue("BINE_SEED", &alone);
        const unsigned first = alone ? static_cast<unsigned>(chosen) : 1;
        for (unsigned seed = first; seed <= (alone ? first : seeds); ++seed) {
            const auto program = algebra::readProgram(ProgramWriter(seed).program());
            if (algebra::difference(program).empty()) continue;
            std::fputs(algebra::difference(algebra::smallest(program)).c_str(), stderr);
            QFAIL(("they differ: BINE_SEED=" + std::to_string(seed)).c_str());
        }
    }
};

QTEST_GUILESS_MAIN(DeferredModelTest)
#include "deferred_model_test.moc"
