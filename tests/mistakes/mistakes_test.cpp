// Each file beside this one holds one mistake. The compiler's first error says what the file's first line tells, and all that the compiler says fits on a screen.

#include <QtTest/QtTest>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

namespace {

constexpr int mostLines = 25;

struct Mistake {
    QString file;
    QString says;  // empty: nothing
    QString onlyWith;
};

/// A compiler, and where it has precompiled headers.h.
struct Compiler {
    QString program;
    QString name;  // "gcc 12", "clang 19"
    QString precompiled;
    bool isClang() const { return name.startsWith("clang"); }
};

struct Job {
    const Compiler* compiler;
    Mistake mistake;
};

struct Outcome {
    bool accepted = false;
    QStringList lines;
};

Mistake read(const QFileInfo& info) {
    QFile file(info.filePath());
    if (!file.open(QFile::ReadOnly)) return {};
    const QStringList lines = QString::fromUtf8(file.readAll()).split('\n');
    const QString says = "// says: ", onlyWith = "// only with: ";
    Mistake mistake{info.filePath(), {}, {}};
    if (lines[0].startsWith(says)) mistake.says = lines[0].mid(says.size());
    if (lines[1].startsWith(onlyWith)) mistake.onlyWith = lines[1].mid(onlyWith.size());
    return mistake;
}

Outcome run(const QString& program, const QStringList& arguments) {
    QProcess compiler;
    compiler.start(program, QStringList{"-std=c++20", "-Wall", "-Wextra", "-I", BINE_TEST_INCLUDE} + arguments);
    if (!compiler.waitForFinished(120000)) return {};
    const QString said = QString::fromLocal8Bit(compiler.readAllStandardError());
    return {compiler.exitCode() == 0, said.split('\n', Qt::SkipEmptyParts)};
}

Outcome precompile(const Compiler& compiler) {
    return run(compiler.program, {"-x", "c++-header", BINE_TEST_MISTAKES "/headers.h", "-o", compiler.precompiled});
}

Outcome compile(const Job& job) {
    // GCC finds x.gch when it is told to include x.
    const QStringList headers = job.compiler->isClang() ? QStringList{"-include-pch", job.compiler->precompiled}
                                                        : QStringList{"-include", job.compiler->precompiled.chopped(4)};
    return run(job.compiler->program, QStringList{"-fsyntax-only"} + headers + QStringList{job.mistake.file});
}

/// "gcc 12" or "clang 19".
QString nameOf(const QString& program) {
    QProcess process;
    process.start(program, {"-dM", "-E", "-x", "c++", QProcess::nullDevice()});
    process.waitForFinished(60000);
    const QString macros = process.readAllStandardOutput();
    const auto major = [&](const char* macro) { return QRegularExpression(QString("%1 (\\d+)").arg(macro)).match(macros).captured(1); };
    const QString clang = major("__clang_major__");
    return clang.isEmpty() ? "gcc " + major("__GNUC__") : "clang " + clang;
}

QString rowOf(const Job& job) { return QFileInfo(job.mistake.file).completeBaseName() + ", " + job.compiler->name; }

}  // namespace

class MistakesTest : public QObject {
    Q_OBJECT

private slots:
    void initTestCase() {
        QVERIFY(folder_.isValid());
        for (const QString& program : QString(BINE_TEST_COMPILERS).split('|')) {
            const QString name = nameOf(program);
            compilers_.push_back({program, name, folder_.filePath(QString(name).replace(' ', '-') + ".h.gch")});
        }
        for (const Compiler& compiler : compilers_) {
            for (const QFileInfo& info : QDir(BINE_TEST_MISTAKES).entryInfoList({"*.cpp"}, QDir::Files, QDir::Name)) {
                if (info.fileName() == "mistakes_test.cpp") continue;
                Mistake mistake = read(info);
                if (!mistake.onlyWith.isEmpty() && mistake.onlyWith != compiler.name) continue;
                jobs_.push_back({&compiler, std::move(mistake)});
            }
        }
        QVERIFY(jobs_.size() > 40);
        std::vector<Outcome> precompiled(compilers_.size());
        inParallel(compilers_.size(), [&](std::size_t i) { precompiled[i] = precompile(compilers_[i]); });
        for (const Outcome& outcome : precompiled) QVERIFY2(outcome.accepted, qPrintable(outcome.lines.join('\n')));
        outcomes_.resize(jobs_.size());
        inParallel(jobs_.size(), [&](std::size_t i) { outcomes_[i] = compile(jobs_[i]); });
    }

    void theFirstErrorSaysWhatToWrite_data() { rows(); }

    void theFirstErrorSaysWhatToWrite() {
        QFETCH(int, job);
        const Mistake& mistake = jobs_[job].mistake;
        const Outcome& outcome = outcomes_[job];
        const QString all = outcome.lines.join('\n');
        if (mistake.says.isEmpty()) {
            QVERIFY2(outcome.accepted && all.isEmpty(), qPrintable(all));
            return;
        }
        const auto first = std::find_if(outcome.lines.begin(), outcome.lines.end(), [](const QString& line) { return line.contains("error:"); });
        QVERIFY2(!outcome.accepted && first != outcome.lines.end(), "the compiler accepts it");
        QVERIFY2(first->contains(mistake.says), qPrintable(all));
    }

    void allThatIsSaidFitsOnAScreen_data() { rows(); }

    void allThatIsSaidFitsOnAScreen() {
        QFETCH(int, job);
        QVERIFY2(outcomes_[job].lines.size() <= mostLines, qPrintable(outcomes_[job].lines.join('\n')));
    }

private:
    template <class F>
    static void inParallel(std::size_t count, F&& each) {
        std::atomic<std::size_t> next = 0;
        std::vector<std::thread> workers;
        for (int i = 0; i < (std::max)(QThread::idealThreadCount(), 1); ++i)
            workers.emplace_back([&] {
                for (std::size_t item; (item = next++) < count;) each(item);
            });
        for (auto& worker : workers) worker.join();
    }
    void rows() {
        QTest::addColumn<int>("job");
        for (std::size_t job = 0; job < jobs_.size(); ++job) QTest::newRow(qPrintable(rowOf(jobs_[job]))) << static_cast<int>(job);
    }

    QTemporaryDir folder_;
    std::vector<Compiler> compilers_;
    std::vector<Job> jobs_;
    std::vector<Outcome> outcomes_;
};

QTEST_GUILESS_MAIN(MistakesTest)
#include "mistakes_test.moc"
