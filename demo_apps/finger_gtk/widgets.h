#pragma once
// Small pieces of GTK 4 that finger_gtk's window is made of. Text is always plain: no label here reads markup.

#include <glib/gi18n.h>
#include <gtk/gtk.h>

#include <string>

/// The one "%s" of a translated text, replaced.
inline std::string formatted(const char* text, const std::string& value) {
    std::string result = text;
    const auto at = result.find("%s");
    return at == result.npos ? result : result.replace(at, 2, value);
}

inline void setText(GtkLabel* label, const std::string& text) { gtk_label_set_text(label, text.c_str()); }

inline void setMargins(GtkWidget* widget, int sides, int ends) {
    gtk_widget_set_margin_start(widget, sides);
    gtk_widget_set_margin_end(widget, sides);
    gtk_widget_set_margin_top(widget, ends);
    gtk_widget_set_margin_bottom(widget, ends);
}

inline void setEnabled(GtkWindow* window, const char* action, bool enabled) {
    GAction* found = g_action_map_lookup_action(G_ACTION_MAP(window), action);
    g_simple_action_set_enabled(G_SIMPLE_ACTION(found), enabled);
}

/// The state of a toggle.
inline bool isOn(GtkWindow* window, const char* action) {
    GVariant* state = g_action_group_get_action_state(G_ACTION_GROUP(window), action);
    const bool on = g_variant_get_boolean(state);
    g_variant_unref(state);
    return on;
}

/// A wrapping label in one of GTK's own styles ("title-1", "dim-label"), or plain.
inline GtkLabel* makeLabel(const char* text, const char* style) {
    GtkWidget* label = gtk_label_new(text);
    gtk_label_set_wrap(GTK_LABEL(label), TRUE);
    gtk_label_set_wrap_mode(GTK_LABEL(label), PANGO_WRAP_WORD_CHAR);
    gtk_label_set_justify(GTK_LABEL(label), GTK_JUSTIFY_CENTER);
    gtk_label_set_max_width_chars(GTK_LABEL(label), 48);
    if (style) gtk_widget_add_css_class(label, style);
    return GTK_LABEL(label);
}

inline GtkWidget* makeCentredColumn(int spacing) {
    GtkWidget* column = gtk_box_new(GTK_ORIENTATION_VERTICAL, spacing);
    gtk_widget_set_valign(column, GTK_ALIGN_CENTER);
    gtk_widget_set_vexpand(column, TRUE);
    setMargins(column, 36, 36);
    return column;
}

/// What is seen where there is nothing to see: an icon, a title and a line. Gives the labels, for those who change them.
inline GtkWidget* makePlaceholder(const char* icon, const char* title, const char* line, GtkLabel** titleLabel = nullptr,
                                  GtkLabel** lineLabel = nullptr) {
    GtkWidget* image = gtk_image_new_from_icon_name(icon);
    gtk_image_set_pixel_size(GTK_IMAGE(image), 96);
    gtk_widget_add_css_class(image, "dim-label");
    gtk_widget_set_margin_bottom(image, 12);
    GtkLabel* heading = makeLabel(title, "title-1");
    GtkLabel* text = makeLabel(line, nullptr);
    GtkWidget* page = makeCentredColumn(12);
    gtk_box_append(GTK_BOX(page), image);
    gtk_box_append(GTK_BOX(page), GTK_WIDGET(heading));
    gtk_box_append(GTK_BOX(page), GTK_WIDGET(text));
    if (titleLabel) *titleLabel = heading;
    if (lineLabel) *lineLabel = text;
    return page;
}

/// A bar for a lasting state, under the header, shown when it is revealed.
inline GtkRevealer* makeBanner(GtkLabel* label) {
    GtkWidget* bar = gtk_info_bar_new();
    gtk_info_bar_set_message_type(GTK_INFO_BAR(bar), GTK_MESSAGE_WARNING);
    gtk_widget_set_hexpand(GTK_WIDGET(label), TRUE);
    gtk_info_bar_add_child(GTK_INFO_BAR(bar), GTK_WIDGET(label));
    GtkWidget* revealer = gtk_revealer_new();
    gtk_revealer_set_child(GTK_REVEALER(revealer), bar);
    return GTK_REVEALER(revealer);
}

inline GtkWidget* makeMenuButton() {
    GMenu* menu = g_menu_new();
    GMenu* first = g_menu_new();
    g_menu_append(first, _("_Ask Again"), "win.ask");
    g_menu_append(first, _("_Long Answer"), "win.long-answer");
    GMenu* second = g_menu_new();
    g_menu_append(second, _("A_bout Finger"), "win.about");
    g_menu_append(second, _("_Quit"), "app.quit");
    g_menu_append_section(menu, nullptr, G_MENU_MODEL(first));
    g_menu_append_section(menu, nullptr, G_MENU_MODEL(second));
    GtkWidget* button = gtk_menu_button_new();
    gtk_menu_button_set_icon_name(GTK_MENU_BUTTON(button), "open-menu-symbolic");
    gtk_menu_button_set_menu_model(GTK_MENU_BUTTON(button), G_MENU_MODEL(menu));
    gtk_menu_button_set_primary(GTK_MENU_BUTTON(button), TRUE);
    gtk_widget_set_tooltip_text(button, _("Main Menu"));
    g_object_unref(first);
    g_object_unref(second);
    g_object_unref(menu);
    return button;
}

inline void showAbout(GtkWindow* parent) {
    gtk_show_about_dialog(parent, "program-name", _("Finger"), "comments",
                          _("Asks hosts about their users (RFC 1288).\nA demonstration of Bine: networking in GLib's own main loop."),
                          "logo-icon-name", "system-search-symbolic", nullptr);
}
