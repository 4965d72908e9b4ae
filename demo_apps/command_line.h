#pragma once
// CommandLine: "--name VALUE" and "--name=VALUE", for the small programs of this folder. --help prints the usage; what is not understood
// is answered with a sentence and exit code 2.

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <initializer_list>
#include <iostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

class CommandLine {
public:
    CommandLine(int argc, char** argv, std::string_view usage, std::initializer_list<std::string_view> names) : usage_(usage) {
        for (int i = 1; i < argc; ++i) {
            const std::string_view argument = argv[i];
            if (argument == "--help" || argument == "-h") {
                std::cout << "usage: " << usage_ << "\n";
                std::exit(0);
            }
            const auto equals = argument.find('=');
            const auto name = argument.substr(0, equals);
            if (std::find(names.begin(), names.end(), name) == names.end()) refuse("unknown argument: " + std::string(argument));
            if (equals != std::string_view::npos)
                options_.emplace_back(name, argument.substr(equals + 1));
            else if (i + 1 < argc)
                options_.emplace_back(name, argv[++i]);
            else
                refuse(std::string(name) + " needs a value");
        }
    }

    /// The last value given.
    std::string value(std::string_view name, std::string_view otherwise) const {
        std::string found(otherwise);
        for (const auto& option : options_)
            if (option.first == name) found = option.second;
        return found;
    }
    int port(int otherwise) const {
        const std::string text = value("--port", std::to_string(otherwise));
        int number = -1;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
        if (error != std::errc() || end != text.data() + text.size() || number < 0 || number > 65535)
            refuse("--port: a number from 0 to 65535 is needed, not \"" + text + "\"");
        return number;
    }
    std::vector<std::string> values(std::string_view name) const {
        std::vector<std::string> found;
        for (const auto& option : options_)
            if (option.first == name) found.push_back(option.second);
        return found;
    }
    [[noreturn]] void refuse(const std::string& why) const {
        std::cerr << why << "\nusage: " << usage_ << "\n";
        std::exit(2);
    }

private:
    std::string usage_;
    std::vector<std::pair<std::string, std::string>> options_;
};
