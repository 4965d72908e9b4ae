#pragma once
// kindRows(): a row of test data for each kind of callback; QFETCH(Kind, kind) has it.

#include <QtTest/QtTest>

#include "dialogs/scene.h"

Q_DECLARE_METATYPE(dialogs::Kind)

namespace dialogs {

inline void kindRows() {
    QTest::addColumn<Kind>("kind");
    for (const Kind kind : kinds())
        QTest::newRow(nameOf(kind)) << kind;
}

} // namespace dialogs
