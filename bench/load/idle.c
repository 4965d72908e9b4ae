#define _GNU_SOURCE
#include <poll.h>

#include "kinds.h"
#include "run.h"

enum { kAtOnce = 50 };

void openIdle(int count, size_t requestSize, size_t answerSize) {
    Stream streams[kAtOnce]; // forgotten afterwards: they are open until the program ends
    char* request = newMessage(requestSize ? requestSize : 1);
    for (int done = 0; done < count; done += kAtOnce) {
        const int here = count - done < kAtOnce ? count - done : kAtOnce;
        for (int i = 0; i < here; ++i) {
            streams[i] = openStream();
            if (requestSize && sendSome(&streams[i], request, requestSize) != requestSize) fail("a new connection takes no request");
        }
        for (int i = 0; i < here; ++i)
            for (size_t got = 0; got < answerSize;) {
                waitFor(&streams[i], POLLIN);
                got += receiveSome(&streams[i], received, answerSize - got);
            }
    }
}
