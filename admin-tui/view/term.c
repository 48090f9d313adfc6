/*
 * term: see term.h. Order of term_open(): save the modes, begin ncurses, prepare the rescue bytes,
 * set the handlers. A failure before ncurses has begun leaves the terminal as it was.
 */
#include "admin-tui/view/term.h"

#include <locale.h>
#include <ncurses.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "admin-tui/view/keys.h"

/* Last: its macros have common names (key_find, lines ...). */
#include <term.h>

#define RESCUE_BYTES 256
#define STACK_BYTES  16384
#define ESC_DELAY_MS 25

static struct terminal {
    SCREEN *screen;
    WINDOW *keys; /* a pad: reading from it refreshes nothing */
    bool blocks, open;
    struct termios modes;
    bool has_modes;
    char rescue[RESCUE_BYTES];
    size_t rescue_len;
    char stack[STACK_BYTES];
} term;

static const int crashes[] = {SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE};

static int keep_byte(int byte)
{
    if (term.rescue_len < sizeof term.rescue)
        term.rescue[term.rescue_len++] = (char)byte;
    return byte;
}

/* Colours off, keypad off, cursor shown, the screen that was there before. */
static void make_rescue(void)
{
    static const char *const names[] = {"sgr0", "op", "rmkx", "cnorm", "rmcup"};
    ASSERT(term.screen != NULL && !term.open);
    term.rescue_len = 0;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char name[8];
        snprintf(name, sizeof name, "%s", names[i]);
        const char *bytes = tigetstr(name);
        if (bytes != NULL && bytes != (const char *)-1)
            tputs(bytes, 1, keep_byte);
    }
    keep_byte('\r');
    keep_byte('\n');
}

/* Calls only what is safe in a signal handler. */
static void on_crash(int number)
{
    static const char words[] = "spike-top crashed; the sale has not noticed\r\n";
    if (term.open) {
        if (term.has_modes)
            tcsetattr(STDIN_FILENO, TCSANOW, &term.modes);
        ssize_t put = write(STDOUT_FILENO, term.rescue, term.rescue_len);
        put += write(STDERR_FILENO, words, sizeof words - 1);
        (void)put;
    }
    raise(number); /* the handler was reset: this signal ends the process */
}

static void watch_crashes(void)
{
    stack_t stack = {.ss_sp = term.stack, .ss_size = sizeof term.stack};
    struct sigaction action = {.sa_handler = on_crash,
                               .sa_flags = SA_ONSTACK | (int)SA_RESETHAND | SA_NODEFER};
    bool has_stack = sigaltstack(&stack, NULL) == 0;
    if (!has_stack)
        action.sa_flags = (int)SA_RESETHAND | SA_NODEFER;
    for (size_t i = 0; i < ARRAY_LEN(crashes); i++)
        sigaction(crashes[i], &action, NULL);
}

/* Block characters are bytes of UTF-8: without such a locale ncurses would show them one by one. */
static bool can_blocks(void)
{
    if (MB_CUR_MAX > 1)
        return true;
    return setlocale(LC_CTYPE, "C.UTF-8") != NULL && MB_CUR_MAX > 1;
}

/* A picture needs a cursor that can be moved. */
static bool has_cursor(void)
{
    int error;
    char cup[] = "cup";
    if (setupterm(NULL, STDOUT_FILENO, &error) != OK)
        return true; /* an unknown terminal: newterm() fails for it */
    const char *bytes = tigetstr(cup);
    bool has = bytes != NULL && bytes != (const char *)-1;
    del_curterm(cur_term);
    return has;
}

bool term_open(bool no_color, bool blocks, struct fault *f)
{
    const char *name = getenv("TERM"), *wish = getenv("NO_COLOR");
    ASSERT(!term.open && term.screen == NULL);
    if (!has_cursor())
        return fault(f,
                     "TERM is %s, a terminal whose cursor cannot be moved; use another one, or "
                     "-b for plain text",
                     name != NULL ? name : "not set");
    term.has_modes = tcgetattr(STDIN_FILENO, &term.modes) == 0;
    setlocale(LC_CTYPE, "");
    term.blocks = blocks && can_blocks();
    term.screen = newterm(NULL, stdout, stdin);
    if (term.screen == NULL)
        return fault(f, "TERM is %s, of which this system knows nothing; try TERM=vt100",
                     name != NULL ? name : "not set");
    make_rescue();
    term.open = true;
    watch_crashes();
    atexit(term_close);
    cbreak();
    noecho();
    nonl();
    set_escdelay(ESC_DELAY_MS);
    curs_set(0);
    term.keys = newpad(1, 1);
    if (term.keys == NULL) {
        term_close();
        return fault(f, "no memory for the screen");
    }
    keypad(term.keys, TRUE);
    nodelay(term.keys, TRUE);
    draw_begin(!no_color && (wish == NULL || wish[0] == '\0'));
    term_resize();
    return true;
}

void term_close(void)
{
    if (!term.open)
        return;
    term.open = false;
    curs_set(1);
    /* On terminals without an alternate screen the shell goes on at the last line. */
    wmove(stdscr, getmaxy(stdscr) - 1, 0);
    wclrtoeol(stdscr);
    wrefresh(stdscr);
    endwin();
    if (term.keys != NULL)
        delwin(term.keys);
    delscreen(term.screen);
    term.screen = NULL;
    if (term.has_modes)
        tcsetattr(STDIN_FILENO, TCSANOW, &term.modes);
}

struct canvas term_canvas(void)
{
    ASSERT(term.open);
    return canvas_of(stdscr, term.blocks);
}

void term_show(void)
{
    ASSERT(term.open);
    wnoutrefresh(stdscr);
    doupdate();
}

static int key_of(int code)
{
    static const struct {
        int code, key;
    } keys[] = {{KEY_UP, KEYS_UP},         {KEY_DOWN, KEYS_DOWN},
                {KEY_LEFT, KEYS_LEFT},     {KEY_RIGHT, KEYS_RIGHT},
                {KEY_PPAGE, KEYS_PAGE_UP}, {KEY_NPAGE, KEYS_PAGE_DOWN},
                {KEY_HOME, KEYS_HOME},     {KEY_END, KEYS_END},
                {KEY_BTAB, KEYS_BACK_TAB}, {KEY_BACKSPACE, KEYS_BACKSPACE},
                {KEY_ENTER, KEYS_ENTER},   {KEY_F(1), KEYS_F1},
                {KEY_F(10), KEYS_F10},     {'\b', KEYS_BACKSPACE}};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (keys[i].code == code)
            return keys[i].key;
    return code < 256 && code != KEYS_NONE ? code : KEYS_OTHER;
}

int term_key(void)
{
    ASSERT(term.open && term.keys != NULL);
    int code = wgetch(term.keys);
    return code == ERR ? KEYS_NONE : key_of(code);
}

bool term_is_gone(void)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    int waiting = 0;
    if (poll(&input, 1, 0) <= 0)
        return false;
    if ((input.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0)
        return true;
    return ioctl(STDIN_FILENO, FIONREAD, &waiting) != 0 || waiting == 0;
}

void term_resize(void)
{
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0)
        resizeterm(size.ws_row, size.ws_col);
}

void term_redraw(void)
{
    clearok(curscr, TRUE);
}

void term_pause(void)
{
    ASSERT(term.open);
    endwin();
}

void term_resume(void)
{
    ASSERT(term.open);
    if (!isendwin()) /* stopped without notice: the shell has changed the modes */
        endwin();
    doupdate();
    term_resize();
    term_redraw();
}
