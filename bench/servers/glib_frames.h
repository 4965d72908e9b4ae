#pragma once
// Frames in GLib's loop: of a source at the priority at which GTK redraws, or (BENCH_WINDOW) of a window that is drawn at each beat of GTK's
// frame clock. C and C++.

#include "frame.h"
#ifdef BENCH_WINDOW
#include <gtk/gtk.h>
static const int kCanShow = CanShowWindow;
#else
#include <glib.h>
static const int kCanShow = 0;
#endif

enum { kRedrawPriority = 120 }; // GDK_PRIORITY_REDRAW

typedef struct GlibFrames {
    Frames frames;
    GSource* timer;
#ifdef BENCH_WINDOW
    int64_t beat; // the frame clock's last, in nanoseconds
#endif
} GlibFrames;

// g_timeout_add() would count its interval from each call, and drift; GTK's own frame clock sets the time of its next frame, too.
static inline void nextFrameAt(GlibFrames* self, int64_t ns) { g_source_set_ready_time(self->timer, (ns + 999) / 1000); }

static gboolean frameIsDue(GSource* source, GSourceFunc callback, gpointer data) {
    GlibFrames* self = (GlibFrames*)data;
    (void)source, (void)callback;
    reportFramesIfAsked(&self->frames);
    startFrame(&self->frames);
    nextFrameAt(self, self->frames.due);
    workFrame(&self->frames);
    return G_SOURCE_CONTINUE;
}

#ifdef BENCH_WINDOW
enum { kClockMicroseconds = 16667 }; // GTK's, where no display has another

// The clock says when this frame began; it was due one beat after the last.
static gboolean frameBegins(GtkWidget* canvas, GdkFrameClock* clock, gpointer data) {
    GlibFrames* self = (GlibFrames*)data;
    if (self->beat) self->frames.due = self->beat + self->frames.period;
    reportFramesIfAsked(&self->frames);
    self->beat = gdk_frame_clock_get_frame_time(clock) * 1000;
    gtk_widget_queue_draw(canvas);
    return G_SOURCE_CONTINUE;
}

static void drawFrame(GtkDrawingArea* canvas, cairo_t* cairo, int width, int height, gpointer data) {
    static int shade;
    GlibFrames* self = (GlibFrames*)data;
    (void)canvas, (void)width, (void)height;
    startFrame(&self->frames);
    workFrame(&self->frames);
    shade = (shade + 1) % 256;
    cairo_set_source_rgb(cairo, shade / 255.0, 0.5, 0.5);
    cairo_paint(cairo);
}

static inline void showWindow(GlibFrames* self) {
    GtkWidget* window = gtk_window_new();
    GtkWidget* canvas = gtk_drawing_area_new();
    gtk_drawing_area_set_draw_func(GTK_DRAWING_AREA(canvas), drawFrame, self, NULL);
    gtk_widget_add_tick_callback(canvas, frameBegins, self, NULL);
    gtk_window_set_default_size(GTK_WINDOW(window), 400, 300);
    gtk_window_set_child(GTK_WINDOW(window), canvas);
    self->frames.period = (int64_t)kClockMicroseconds * 1000;
    gtk_window_present(GTK_WINDOW(window));
}
#endif

/// Paints from now on in the default context, if the options say so. `self` begins as zeroes and stays where it is.
static inline void paintFrames(GlibFrames* self, const Options* options) {
    static GSourceFuncs functions = {NULL, NULL, frameIsDue, NULL, NULL, NULL};
    if (options->frameNs == 0) return;
    beginFrames(&self->frames, options);
#ifdef BENCH_WINDOW
    if (options->window) {
        showWindow(self);
        return;
    }
#endif
    self->timer = g_source_new(&functions, sizeof(GSource));
    g_source_set_priority(self->timer, kRedrawPriority);
    g_source_set_callback(self->timer, NULL, self, NULL);
    nextFrameAt(self, self->frames.due);
    g_source_attach(self->timer, NULL);
}

/// Before anything else of the toolkit.
static inline void beginToolkit(const Options* options) {
#ifdef BENCH_WINDOW
    if (options->window) gtk_init();
#endif
    (void)options;
}
