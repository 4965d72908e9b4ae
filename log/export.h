#pragma once
// BINE_EXPORT: what is visible outside the shared library it is defined in.
//
// Everything is compiled with -fvisibility=hidden. Public classes and functions that are not templates carry
// the mark, and so does every exception class: a hidden one has a typeinfo per library, and a catch in
// another library would not match it.

#if defined(__GNUC__)
#define BINE_EXPORT __attribute__((visibility("default")))
#else
#define BINE_EXPORT
#endif
