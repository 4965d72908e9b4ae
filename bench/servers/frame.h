#pragma once
// A GUI's frames beside the network: how late each one starts, and how many fall out. C and C++.
//
// Frames are due on a grid of one period. A frame that starts when its successor is due already has cost that one (and more, if it is
// later still): those are missed, and the grid begins anew with the late frame, as a repeating QTimer has it.

#include <signal.h>
#include <unistd.h>

#include "clock.h"
#include "options.h"
#include "samples.h"

typedef struct Frames {
    int64_t period; // nanoseconds, all of them
    int64_t work;
    int64_t due;
    long missed;
    Samples lateness;
} Frames;

static volatile sig_atomic_t framesWork;  // they do, or are due and take no time: each SIGUSR1 changes it
static volatile sig_atomic_t framesAsked; // SIGTERM came

static inline void tellFrames(int number) {
    if (number == SIGUSR1)
        framesWork = !framesWork;
    else
        framesAsked = 1;
}

/// The first frame is due one period from now: the host's timer is to be started at once. Frames take no time, and are not counted, until SIGUSR1 comes, and
/// again after the next one. From here on SIGTERM asks for the report.
static inline void beginFrames(Frames* frames, const Options* options) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = tellFrames;
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    memset(frames, 0, sizeof *frames);
    frames->period = options->frameNs;
    frames->work = options->workNs;
    frames->due = nowNs() + frames->period;
}

/// The host's timer calls: prints the report and ends the program, if it was asked for.
static inline void reportFramesIfAsked(Frames* frames) {
    if (!framesAsked) return;
    sortSamples(&frames->lateness);
    printf("{\"frames\":%zu,\"missed\":%ld,\"late_p50_ms\":%.3f,\"late_p99_ms\":%.3f,\"late_max_ms\":%.3f}\n", frames->lateness.count,
           frames->missed, percentile(&frames->lateness, 0.5) / 1e6, percentile(&frames->lateness, 0.99) / 1e6,
           percentile(&frames->lateness, 1) / 1e6);
    fflush(stdout);
    _exit(0); // no toolkit is taken down in order: nobody waits for that
}

static inline int frameDue(const Frames* frames) { return nowNs() >= frames->due; }

/// A frame starts. Whether it was so late that the grid begins anew; then `due` is one period from now.
static inline int startFrame(Frames* frames) {
    const int64_t now = nowNs(), late = now - frames->due;
    if (framesWork) {
        addSample(&frames->lateness, late);
        if (late >= frames->period) frames->missed += (long)(late / frames->period);
    }
    frames->due += frames->period;
    if (frames->due > now) return 0;
    frames->due = now + frames->period;
    return 1;
}

/// What painting it costs.
static inline void workFrame(const Frames* frames) { busyFor(framesWork ? frames->work : 0); }
