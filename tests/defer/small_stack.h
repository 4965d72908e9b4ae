#pragma once
// A stack that no recursion over many elements would fit in.

#include <QtTest/QtTest>

#include <pthread.h>

#include <cstddef>

inline constexpr std::size_t smallStackSize = 256 * 1024;

/// Runs `work` on such a stack, in a thread of its own.
template <class F>
void onSmallStack(F work) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, smallStackSize);
    pthread_t thread;
    const int error = pthread_create(
        &thread, &attributes,
        [](void* argument) -> void* {
            (*static_cast<F*>(argument))();
            return nullptr;
        },
        &work);
    pthread_attr_destroy(&attributes);
    QCOMPARE(error, 0);
    pthread_join(thread, nullptr);
}
