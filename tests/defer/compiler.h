#pragma once
// The compiler, for tests of what it refuses and in which words. Their targets name it, and where the headers are.

#include <QFile>
#include <QProcess>
#include <QTemporaryDir>

/// What the compiler says of this code; nothing if it takes it.
inline QString saidOf(const QByteArray& code) {
    QTemporaryDir folder;
    QFile file(folder.filePath("x.cpp"));
    if (!file.open(QFile::WriteOnly)) return "no file";
    file.write(code);
    file.close();
    QProcess compiler;
    compiler.start(BINE_TEST_COMPILER, {"-std=c++20", "-fsyntax-only", "-I", BINE_TEST_INCLUDE, file.fileName()});
    compiler.waitForFinished(60000);
    const QString said = QString::fromLocal8Bit(compiler.readAllStandardError());
    return compiler.exitCode() == 0 ? QString() : "rejected: " + said;
}
