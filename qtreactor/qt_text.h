#pragma once
// QString, QStringView and QByteArray where Bine takes text or bytes, and as results: `answer.as<QString>()`.
//
//     transport().write(edit->text());                          // as UTF-8
//     bine::finger(reactor, edit->text()).as<QString>().addCallback([this](QString answer) { show(answer); });
//
// A QByteArray is taken as it is, without a copy. A result that is not valid UTF-8 has U+FFFD in its QString. Any thread.

#include <version>  // first: without it Qt's moc cannot read <concepts>
#include <QtCore/qbytearray.h>
#include <QtCore/qstring.h>

#include <string>
#include <string_view>

#include "bine/base/text_traits.h"

namespace bine::inline v0 {

template <>
struct TextTraits<QByteArray> {
    static std::string_view read(const QByteArray& bytes) noexcept {
        return {bytes.constData(), static_cast<std::size_t>(bytes.size())};
    }
    static QByteArray make(std::string_view bytes) {
        return QByteArray(bytes.data(), static_cast<qsizetype>(bytes.size()));
    }
};

template <>
struct TextTraits<QString> {
    static std::string read(const QString& text) { return text.toStdString(); }
    static QString make(std::string_view bytes) {
        return QString::fromUtf8(bytes.data(), static_cast<qsizetype>(bytes.size()));
    }
};

template <>
struct TextTraits<QStringView> {
    static std::string read(QStringView text) { return text.toString().toStdString(); }
};

} // namespace bine::inline v0
