#pragma once
// TextTraits: how the strings and byte arrays of a toolkit become bytes, and bytes become them.
//
// Where a function of Bine takes text or bytes, it takes literals, std::string, std::string_view, and every type that
// has TextTraits: QString and QByteArray with "bine/qtreactor/qt_text.h", GString and GBytes with
// "bine/gtkreactor/glib_text.h". Text of a toolkit becomes UTF-8. Any thread.
//
//     template <>
//     struct bine::TextTraits<MyString> {
//         static std::string_view read(const MyString& text);   // or a std::string, if it has to be converted
//         static MyString make(std::string_view bytes);         // optional: for Deferred::as<MyString>()
//     };

#include <version>  // first: without it Qt's moc cannot read <concepts>
#include <concepts>
#include <string>
#include <string_view>

namespace bine::inline v0 {

template <class T>
struct TextTraits {};

/// A toolkit's text or bytes, which TextTraits can read.
template <class T>
concept ForeignText = requires(const T& text) {
    { TextTraits<T>::read(text) } -> std::convertible_to<std::string_view>;
};

/// A toolkit's text or bytes, which TextTraits can make.
template <class T>
concept TextResult = requires(std::string_view bytes) {
    { TextTraits<T>::make(bytes) } -> std::same_as<T>;
};

template <>
struct TextTraits<std::string> {
    static std::string make(std::string_view bytes) { return std::string(bytes); }
};

/// A text as a function's parameter: literals, std::string, std::string_view, and what has TextTraits. A view that is
/// valid during the call; it holds the converted text where a conversion was needed.
class TextArgument {
public:
    template <class T>
        requires std::convertible_to<const T&, std::string_view>
    TextArgument(const T& text) : view_(text) {}
    template <ForeignText T>
    TextArgument(const T& text) {
        if constexpr (std::same_as<decltype(TextTraits<T>::read(text)), std::string_view>) {
            view_ = TextTraits<T>::read(text);
        } else {
            converted_ = TextTraits<T>::read(text);
            view_ = converted_;
        }
    }
    TextArgument(const TextArgument&) = delete;
    TextArgument& operator=(const TextArgument&) = delete;

    std::string_view view() const noexcept { return view_; }
    operator std::string_view() const noexcept { return view_; }

private:
    std::string converted_;
    std::string_view view_;
};

} // namespace bine::inline v0
