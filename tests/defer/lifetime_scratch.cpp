#include <malloc.h>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <functional>
#include <vector>
#include "bine/defer/deferred.h"
#include "bine/log/recorder.h"
using namespace bine;
static int bad = 0;
#define CHECK(x) do { if (!(x)) { std::printf("  FAILED line %d: %s\n", __LINE__, #x); ++bad; } } while (0)
struct Note { std::string* s; char c; Note(std::string& s, char c) : s(&s), c(c) {} Note(Note&& o) : s(std::exchange(o.s, nullptr)), c(o.c) {} ~Note() { if (s) *s += c; } };

Deferred<int> leafWait(Deferred<int> d, std::string& log) { Note n(log, 'i'); int v = co_await std::move(d); log += 'I'; co_return v; }
Deferred<int> outerWait(Deferred<int> d, std::string& log) { Note n(log, 'o'); int v = co_await std::move(d); log += 'O'; co_return v; }

void c1() {  // both owned by the same scope: nothing may run
    std::string log; Resolver<int> r;
    { Scope s; auto in = leafWait(r.deferred(), log); in.ownedBy(s); outerWait(std::move(in), log).ownedBy(s); }
    CHECK(log == "io");
    std::string log2; Resolver<int> r2;
    { Scope s; auto in = leafWait(r2.deferred(), log2); auto out = outerWait(std::move(in), log2); out.ownedBy(s); }
    CHECK(log2 == "io");
    // outer catches: inner owned, bound AFTER/BEFORE outer
    for (int order = 0; order < 2; ++order) {
        std::string log3; Resolver<int> r3;
        auto catcher = [](Deferred<int> d, std::string& log) -> Deferred<> { try { co_await std::move(d); } catch (...) { log += 'C'; } };
        { Scope s; auto in = leafWait(r3.deferred(), log3);
          if (order == 0) { in.ownedBy(s); catcher(std::move(in), log3).ownedBy(s); }
          else { Deferred<> out = catcher(std::move(in).ownedBy(s), log3); out.ownedBy(s); } }
        CHECK(log3 == "i");
    }
}
void c2() {  // unowned outer gets CancelledError
    std::string log; Resolver<int> r; bool c = false;
    { Scope s; auto in = leafWait(r.deferred(), log); in.ownedBy(s); succeed(1).addCallback([in = std::move(in)](int) mutable { return std::move(in); }).addErrback([&](const Failure& f) { c = f.check<CancelledError>(); return 0; }); }
    CHECK(c); CHECK(log == "i");
    r.callback(1);
}
void c3() {  // lvalue await, coroutine killed: awaited is cancelled, handle stays valid
    std::string log; Resolver<int> r([&](Resolver<int>&) { log += 'x'; });
    auto body = [](Deferred<int>& d, std::string& log) -> Deferred<> { Note n(log, 'f'); co_await d; log += 'F'; };
    auto d = r.deferred();
    { Scope s; body(d, log).ownedBy(s); }
    CHECK(log == "xf");
    CHECK(r.called());
}
void c4() {  // 1e6 nested, killed at small stack
    const int N = 300000; Scope s; std::vector<Resolver<int>> rs(N); std::vector<Deferred<int>> ds; for (auto& r : rs) ds.push_back(r.deferred());
    Deferred<int> cur = std::move(ds[N - 1]);
    for (int i = N - 2; i >= 0; --i) cur = std::move(ds[i]).addCallback([c = std::move(cur)](int) mutable { return std::move(c); });
    for (int i = 0; i < N - 1; ++i) rs[i].callback(0);
    cur.ownedBy(s); s.cancel(); CHECK(rs[N-1].called() || true);
}
void c4b() {  // cancel of the same
    const int N = 300000; std::vector<Resolver<int>> rs(N); std::vector<Deferred<int>> ds; for (auto& r : rs) ds.push_back(r.deferred());
    Deferred<int> cur = std::move(ds[N - 1]);
    for (int i = N - 2; i >= 0; --i) cur = std::move(ds[i]).addCallback([c = std::move(cur)](int) mutable { return std::move(c); });
    for (int i = 0; i < N - 1; ++i) rs[i].callback(0);
    bool c = false; cur.addErrback([&](const Failure& f) { c = f.check<CancelledError>(); return 0; }); cur.cancel(); CHECK(c);
}
void c5() {  // handles captured in callbacks of handles, destroyed unfired by silent owners / dropped
    const int N = 300000; Scope s; std::vector<Resolver<int>> rs(N); std::vector<Deferred<int>> ds; for (auto& r : rs) ds.push_back(r.deferred());
    Deferred<int> cur = std::move(ds[N - 1]);
    for (int i = N - 2; i >= 0; --i) cur = std::move(ds[i]).addCallback([c = std::move(cur)](int) mutable { return std::move(c); });
    cur.ownedBy(s); s.cancel();
}
void c6() {  // resolvers captured in chains: abandon cascades
    const int N = 100000; int seen = 0; LogRecorder rec;
    { Resolver<int> first; Resolver<int>* at = &first; std::vector<Deferred<int>> keep; Resolver<int> cur = Resolver<int>(); 
      // build from the end
      Resolver<int> last; last.deferred().addErrback([&](const Failure& f) { seen = f.check<AbandonedError>() ? 1 : 2; return 0; });
      Resolver<int> next = std::move(last);
      for (int i = 0; i < N; ++i) { Resolver<int> r; r.deferred().addErrback([&](const Failure&) { return 0; }).addCallback([n = std::move(next)](int) mutable { if (n.called()) return 1; Resolver<int> x = std::move(n); return 0; }); next = std::move(r); }
      (void)at; }
    CHECK(seen == 1);
}
void c7() {  // coroutine lambda with captures as a callback of something fired
    std::string got; Resolver<int> r;
    succeed(1).addCallback([&got, text = std::string("a long text, not in the small buffer"), d = std::make_shared<Deferred<int>>(r.deferred())](int) -> Deferred<> { int v = co_await *d; got = text + std::to_string(v); });
    r.callback(7); CHECK(got == "a long text, not in the small buffer7");
}
void c8() {  // reference parameter
    std::string got; Resolver<int> r; Resolver<std::string> q;
    auto d = r.deferred();
    q.deferred().addCallback([&got, &d](const std::string& s) -> Deferred<> { int v = co_await d; got = s + std::to_string(v); });
    q.callback(std::string("another long text, not in the small buffer")); r.callback(7); CHECK(got == "another long text, not in the small buffer7");
}
void c9() {  // a chain that adds to itself for ever
    Resolver<int> r; auto d = r.deferred(); long n = 0;
    std::function<void()> more = [&] { d.addCallback([&](int v) { if (++n < 300000) more(); return v; }); };
    more();
    auto before = mallinfo2().uordblks + mallinfo2().hblkhd; r.callback(1); auto after = mallinfo2().uordblks + mallinfo2().hblkhd;
    CHECK(n == 300000); CHECK(after < before + 100000);
    if (after >= before + 100000) std::printf("   grew %zu\n", after - before);
}
Deferred<int> deep(int n, Deferred<int> d) { if (n == 0) co_return co_await std::move(d); int v = co_await deep(n - 1, std::move(d)); co_return v + 1; }
void c10() {  // coroutine depth, built bottom up so that the native stack stays flat
    for (int mode = 0; mode < 3; ++mode) {
        const int N = 100000; Resolver<int> r; std::string log; Deferred<int> cur = r.deferred();
        auto wrap = [](Deferred<int> d) -> Deferred<int> { int v = co_await std::move(d); co_return v + 1; };
        for (int i = 0; i < N; ++i) cur = wrap(std::move(cur));
        if (mode == 0) { int got = 0; std::move(cur).addCallback([&](int v) { got = v; }); r.callback(0); CHECK(got == N); }
        else if (mode == 1) { bool c = false; cur.addErrback([&](const Failure& f) { c = f.check<CancelledError>(); return 0; }); cur.cancel(); CHECK(c); }
        else { Scope s; std::move(cur).ownedBy(s); s.cancel(); r.callback(1); }
    }
}
void c11() {  // killed while running
    std::string log; auto s = std::make_unique<Scope>(); Resolver<int> a, b([&](Resolver<int>&) { log += 'x'; });
    auto body = [](Deferred<int> a, Deferred<int> b, std::unique_ptr<Scope>& s, std::string& log) -> Deferred<> { Note n(log, 'f'); co_await std::move(a); s.reset(); log += '1'; co_await succeed(); log += '2'; co_await std::move(b); log += '3'; };
    body(a.deferred(), b.deferred(), s, log).ownedBy(*s);
    a.callback(1); CHECK(log == "12xf"); 
}
void c12() {  // the canceller destroys the resolver
    std::unique_ptr<Resolver<int>> r; r = std::make_unique<Resolver<int>>([&](Resolver<int>&) { r.reset(); });
    bool c = false; auto d = r->deferred(); d.addErrback([&](const Failure& f) { c = f.check<CancelledError>(); return 0; }); d.cancel(); CHECK(c);
}
void c13() {  // the owner dies inside the canceller, and inside a capture's destructor
    { auto s = std::make_unique<Scope>(); int ran = 0; Resolver<int> r([&](Resolver<int>&) { s.reset(); });
      auto d = r.deferred(); d.addBoth([&](Result<int>) { ++ran; return 0; }); d.ownedBy(*s); d.cancel(); CHECK(ran == 0); }
    { auto s = std::make_unique<Scope>(); int ran = 0; Resolver<int> r;
      struct Killer { std::unique_ptr<Scope>* s; Killer(std::unique_ptr<Scope>& s) : s(&s) {} Killer(Killer&& o) : s(std::exchange(o.s, nullptr)) {} ~Killer() { if (s) s->reset(); } };
      r.deferred().addCallback([k = Killer(*&s)](int v) { return v; }).addCallback([&](int v) { ++ran; return v; }).ownedBy(*s);
      r.callback(1); CHECK(ran == 0); CHECK(!s); }
}
void c14() {  // the places of a failure survive trap's throw and co_await
    std::string t; Resolver<int> r; 
    auto body = [](Deferred<int> d) -> Deferred<int> { co_return co_await std::move(d); };
    body(r.deferred().addErrback([](const Failure& f) { f.trap<std::bad_alloc>(); return 0; })).addErrback([&](const Failure& f) { t = f.getTraceback(); return 0; });
    r.errback(std::runtime_error("deep")); CHECK(t.find("fired at") != std::string::npos); CHECK(t.find("awaited") != std::string::npos || (std::printf("%s", t.c_str()), false));
}
void c15() {  // chainDeferred 1e5 deep, small stack, in order
    const int N = 300000; std::vector<Resolver<int>> rs(N + 1); int got = 0; std::vector<Resolver<int>*> p; auto last = rs[N].deferred(); Resolver<int> first = std::move(rs[0]);
    std::vector<Deferred<int>> ds; ds.push_back(first.deferred()); for (int i = 1; i < N; ++i) ds.push_back(rs[i].deferred());
    for (int i = N - 1; i >= 0; --i) { std::move(ds[i]).chainDeferred(std::move(rs[i + 1])); }
    last.addCallback([&](int v) { return got = v; }); first.callback(5); CHECK(got == 5);
}
void c16() {  // a waiter's frame goes after the frame of what it awaits, even if that one is running when the owner dies
    std::string log; auto s = std::make_unique<Scope>(); Resolver<int> a, b;
    auto inner = [](Deferred<int> a, Deferred<int> b, std::unique_ptr<Scope>& s, std::string& log) -> Deferred<int> { Note n(log, 'i'); co_await std::move(a); s.reset(); log += '1'; int v = co_await std::move(b); log += 'X'; co_return v; };
    outerWait(inner(a.deferred(), b.deferred(), s, log), log).ownedBy(*s);
    a.callback(1); CHECK(log == "1io");
}
void c17() {  // weak: a DeferredRef keeps no callback alive, and the abandoned is told
    std::string log; DeferredRef ref; { Resolver<int> r; auto d = r.deferred(); ref = d.ref(); d.addErrback([&](const Failure&) { log += 'e'; return 0; }); d.addCallback([n = Note(log, 'n')](int v) { return v; }); }
    CHECK(log == "en"); ref.cancel(); ref.describe();
}
void c18() {  // the coroutine's parameters die at completion
    std::string log; auto p = [](Note n, std::string& log) -> Deferred<int> { log += 'b'; co_return 1; };
    Deferred<int> d = p(Note(log, 'p'), log); log += '|'; CHECK(log == "bp|"); d.addCallback([](int v) { return v; });
}
void c19() {  // handle held by a member of the frame's own owner, killed in own callback
    struct Window { Scope scope; Deferred<> work = succeed(); int n = 0; };
    auto w = std::make_unique<Window>(); Resolver<int> r; 
    w->work = r.deferred().addCallback([&](int) { w.reset(); }).addCallback([] { std::printf("  ran after death\n"); ++bad; }).ownedBy(w->scope);
    r.callback(1); CHECK(!w);
}
void c20() {  // resolver inside its own coroutine's frame, etc.
    auto f = []() -> Deferred<int> { Resolver<int> r; auto d = r.deferred(); auto g = [](Resolver<int> r) -> Deferred<> { r.callback(3); co_return; }; g(std::move(r)); co_return co_await d; };
    int got = 0; f().addCallback([&](int v) { got = v; }); CHECK(got == 3);
}
void c21() {  // a killed chain that is returned to an unowned one later
    Scope s; Resolver<int> r; auto d = r.deferred(); d.ownedBy(s); s.cancel(); bool c = false;
    succeed(1).addCallback([d = std::move(d)](int) mutable { return std::move(d); }).addErrback([&](const Failure& f) { c = f.check<CancelledError>(); return 0; }); CHECK(c);
    Resolver<int> r2; auto e = r2.deferred(); e.ownedBy(s); s.cancel(); bool k = false;
    auto co = [](Deferred<int> d, bool& k) -> Deferred<> { try { co_await std::move(d); } catch (const CancelledError&) { k = true; } }; co(std::move(e), k); CHECK(k);
}
void c22() {  // two awaits of the coroutine by lvalue, then more callbacks on a Deferred<>
    std::string log; Resolver<> r; auto d = r.deferred();
    auto co = [](Deferred<>& d, std::string& log) -> Deferred<> { co_await d; log += 'a'; };
    co(d, log); d.addCallback([&] { log += 'b'; }); r.callback(); CHECK(log == "ab");
}
// --- fuzz
static bool chain = true;
struct World;
struct Tok { static int live; Tok() { ++live; } Tok(const Tok&) { ++live; } ~Tok() { --live; } };
int Tok::live = 0;
struct Life { std::vector<std::shared_ptr<bool>> owners; bool dead() const { for (auto& o : owners) if (!*o) return true; return false; } };
struct Own { Scope scope; std::shared_ptr<bool> alive = std::make_shared<bool>(true); };
struct World {
    std::mt19937 rng; std::vector<std::unique_ptr<Resolver<int>>> rs; std::vector<std::pair<std::unique_ptr<Deferred<int>>, std::shared_ptr<Life>>> ds; std::vector<std::unique_ptr<Own>> scopes; std::vector<DeferredRef> refs; int depth = 0; long ran = 0;
    explicit World(unsigned seed) : rng(seed) {}
    unsigned pick(unsigned n) { return n ? rng() % n : 0; }
    void kill(std::size_t i) { auto o = std::move(scopes[i]); scopes.erase(scopes.begin() + i); *o->alive = false; o.reset(); }
    std::pair<std::unique_ptr<Deferred<int>>, std::shared_ptr<Life>> takeD() { auto i = pick(ds.size()); auto d = std::move(ds[i]); ds.erase(ds.begin() + i); return d; }
    Deferred<int> cb(std::shared_ptr<Life> life, int v) {
        if (life->dead()) { std::printf("  ran after its owner's death\n"); ++bad; }
        ++ran; act();
        switch (pick(6)) { case 0: throw std::runtime_error("x"); case 1: if (!ds.empty()) return std::move(*takeD().first); [[fallthrough]]; case 2: return coro(life, v); default: return succeed(v + 1); }
    }
    Deferred<int> coro(std::shared_ptr<Life> outer, int v) { return body(this, Tok(), std::make_shared<Life>(), v, outer); }
    static Deferred<int> body(World* w, Tok, std::shared_ptr<Life> life, int v, std::shared_ptr<Life>) {
        Tok local;
        for (unsigned i = 0, n = w->pick(4); i < n; ++i) {
            bool caught = false;
            if (w->ds.empty()) break;
            auto d = w->takeD();
            const bool lvalue = w->pick(2);
            try { if (lvalue) v += co_await *d.first; else v += co_await std::move(*d.first); } catch (const Error&) { caught = true; } catch (const std::exception&) { caught = true; }
            ++w->ran; w->act(); if (caught && w->pick(3) == 0) throw std::runtime_error("y");
        }
        co_return v;
    }
    void act() {
        if (depth > 6) return;
        ++depth;
        for (unsigned k = pick(3); k-- > 0;) step();
        --depth;
    }
    void step() {
        switch (pick(17)) {
        case 0: case 1: { auto r = pick(3) ? std::make_unique<Resolver<int>>() : std::make_unique<Resolver<int>>([this, t = Tok()](Resolver<int>& r) { ++ran; act(); if (pick(3) == 0 && !r.called()) r.callback(1); else if (pick(4) == 0) throw std::runtime_error("c"); });
            auto d = std::make_unique<Deferred<int>>(r->deferred()); rs.push_back(std::move(r)); ds.emplace_back(std::move(d), std::make_shared<Life>()); break; }
        case 2: case 3: case 4: if (!ds.empty()) { auto& [d, life] = ds[pick(ds.size())]; if (!d) break; auto l = life; try { d->addCallback([this, l, t = Tok()](int v) { return cb(l, v); }); } catch (const std::logic_error&) {} } break;
        case 5: if (!ds.empty()) { auto& [d, life] = ds[pick(ds.size())]; auto l = life; try { d->addErrback([this, l, t = Tok()](const Failure&) { return cb(l, 0); }); } catch (const std::logic_error&) {} } break;
        case 6: case 7: if (!rs.empty()) { auto i = pick(rs.size()); auto r = std::move(rs[i]); rs.erase(rs.begin() + i); try { if (pick(3)) r->callback(1); else r->errback(std::runtime_error("e")); } catch (const AlreadyCalledError&) {} } break;
        case 8: if (!rs.empty()) { auto i = pick(rs.size()); auto r = std::move(rs[i]); rs.erase(rs.begin() + i); r.reset(); } break;
        case 9: if (!ds.empty()) { auto d = takeD(); d.first.reset(); } break;
        case 10: if (!ds.empty()) { auto i = pick(ds.size()); try { refs.push_back(ds[i].first->ref()); } catch (const std::logic_error&) {} } if (refs.size() > 6) refs.erase(refs.begin()); break;
        case 11: if (!refs.empty()) { auto ref = refs[pick(refs.size())]; ref.cancel(); } break;
        case 12: if (!refs.empty()) { auto ref = refs[pick(refs.size())]; if (pick(2)) { ref.pause(); } ref.unpause(); } break;
        case 13: scopes.push_back(std::make_unique<Own>()); break;
        case 14: if (!scopes.empty()) { if (pick(3)) kill(pick(scopes.size())); else { auto& s = *scopes[pick(scopes.size())]; auto old = std::exchange(s.alive, std::make_shared<bool>(true)); *old = false; s.scope.cancel(); } } break;
        case 15: if (!scopes.empty() && !ds.empty()) { auto& s = *scopes[pick(scopes.size())]; auto& [d, life] = ds[pick(ds.size())]; try { d->ownedBy(s.scope); life->owners.push_back(s.alive); } catch (const std::logic_error&) {} } break;
        case 16: { auto life = std::make_shared<Life>(); ds.emplace_back(std::make_unique<Deferred<int>>(coro(life, 1)), life); break; }
        }
        if (chain && pick(400) == 0) { if (!ds.empty() && !rs.empty()) { auto d = takeD(); auto i = pick(rs.size()); auto r = std::move(rs[i]); rs.erase(rs.begin() + i); try { std::move(*d.first).chainDeferred(std::move(*r)); } catch (const std::logic_error&) {} } }
        while (ds.size() > 40) { auto d = takeD(); d.first.reset(); }
        while (rs.size() > 40) { auto r = std::move(rs.front()); rs.erase(rs.begin()); r.reset(); }
        while (scopes.size() > 10) kill(0);
    }
};
void fuzz(unsigned from, unsigned to, int steps) {
    for (unsigned seed = from; seed < to; ++seed) {
        LogRecorder rec; long ran;
        { World w(seed); for (int i = 0; i < steps; ++i) { w.step(); if (i % 500 == 0) rec.flush(); } 
          for (int round = 0; round < 1000 && (!w.rs.empty() || !w.scopes.empty() || !w.ds.empty()); ++round) { while (!w.rs.empty()) { auto r = std::move(w.rs.back()); w.rs.pop_back(); } while (!w.scopes.empty()) w.kill(0); while (!w.ds.empty()) { auto d = std::move(w.ds.back()); w.ds.pop_back(); } w.refs.clear(); rec.flush(); }
          ran = w.ran; }
        rec.flush();
        if (Tok::live) std::printf("  seed %u: %d captures not released (ran %ld)\n", seed, Tok::live, ran), ++bad;
        Tok::live = 0;
    }
}
int main(int argc, char** argv) {
    void (*cs[])() = {c1, c2, c3, c4, c4b, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15, c16, c17, c18, c19, c20, c21, c22};
    const char* names[] = {"1", "2", "3", "4", "4b", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16", "17", "18", "19", "20", "21", "22"};
    std::string which = argv[1];
    if (which == "fuzz") { if (argc > 5) chain = false; fuzz(std::atoi(argv[2]), std::atoi(argv[3]), std::atoi(argv[4])); }
    else for (std::size_t i = 0; i < std::size(cs); ++i) if (which == names[i]) cs[i]();
    return bad ? 1 : 0;
}
